/*
 * What a hostile unikernel needs and Python cannot say: running wild code and surviving it, and looking at vector
 * registers.
 *
 * u64 attempt(u64 code, u64 a, u64 b): calls code with x0 = a, x1 = b and wild values in the other registers. Whatever
 * comes of it, an exception's handler sets the PC to `recover`, which returns from here. No register can be trusted
 * then, so the stack pointer is in `kept`, one word for each CPU.
 */
#include "layout.h"

    .text
    .global attempt
attempt:
    stp     x29, x30, [sp, #-96]!
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    mrs     x3, tpidr_el1
    ldr     x4, =kept
    mov     x5, sp
    str     x5, [x4, x3, lsl #3]
    mov     x16, x0
    mov     x0, x1
    mov     x1, x2
    eor     x2, x0, x1, ror #7
    eor     x3, x1, x0, ror #13
    .irp n, 4,6,8,10,12,14,18,20,22,24,26,28
    mov     x\n, x2
    .endr
    .irp n, 5,7,9,11,13,15,17,19,21,23,25,27
    mov     x\n, x3
    .endr
    blr     x16
    .global recover
recover:
    mrs     x3, tpidr_el1
    ldr     x4, =kept
    ldr     x5, [x4, x3, lsl #3]
    mov     sp, x5
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #96
    ret

/* The bits of FPCR and FPSR that every CPU keeps: modes; cumulative flags. */
#define FPCR_KEPT 0x07c00000
#define FPSR_KEPT 0x0800009f

/* void fill_fp(u64 pattern): every vector register gets words made from it, and so do FPCR and FPSR. */
    .global fill_fp
fill_fp:
    and     x1, x0, #FPCR_KEPT
    msr     fpcr, x1
    ldr     x1, =FPSR_KEPT
    and     x1, x1, x0
    msr     fpsr, x1
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    add     x1, x0, #\n
    dup     v\n\().2d, x1
    .endr
    ret

/* u64 check_fp(u64 pattern): a bit for each register that holds anything else; bits 32 and 33 for FPCR and FPSR. */
    .global check_fp
check_fp:
    mov     x3, x0
    mov     x0, #0
    and     x1, x3, #FPCR_KEPT
    mrs     x2, fpcr
    cmp     x1, x2
    b.eq    1f
    orr     x0, x0, #1 << 32
1:  ldr     x1, =FPSR_KEPT
    and     x1, x1, x3
    mrs     x2, fpsr
    cmp     x1, x2
    b.eq    1f
    orr     x0, x0, #1 << 33
1:
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    add     x1, x3, #\n
    umov    x2, v\n\().d[0]
    cmp     x1, x2
    b.ne    1f
    umov    x2, v\n\().d[1]
    cmp     x1, x2
    b.eq    2f
1:  orr     x0, x0, #1 << \n
2:
    .endr
    ret

/* u64 any_fp(void): nonzero when any vector register, FPCR or FPSR is not zero. */
    .global any_fp
any_fp:
    mrs     x0, fpcr
    mrs     x1, fpsr
    orr     x0, x0, x1
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    umov    x1, v\n\().d[0]
    orr     x0, x0, x1
    umov    x1, v\n\().d[1]
    orr     x0, x0, x1
    .endr
    ret

    .section .bss.kept, "aw", %nobits
    .balign 8
kept:
    .skip   8 * CPUS
