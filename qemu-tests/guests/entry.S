/*
 * The way in: the header of an arm64 Image, each CPU's first instructions, and the exception vectors.
 *
 * A unikernel runs where it is linked (guest.lds), which is where a loader puts an Image with this text_offset when
 * memory begins at 0x40000000, as it does for guests (Xen, public/arch-arm.h, GUEST_RAM0_BASE). The MMU stays off.
 */
#include "asm_offsets.h"
#include "layout.h"

#define SCTLR_OFF 0x30d00800 /* the bits of SCTLR_EL1 that are one in ARMv8.0: no MMU, no caches, no alignment check */
#define CPACR_FP_ENABLED (3 << 20)

    .section .head, "ax"
    .global _start
_start:
    /* Linux, Documentation/arch/arm64/booting.rst. */
    b       entry
    .long   0
    .quad   TEXT_OFFSET
    .quad   __image_size
    .quad   0x2                         // little endian, 4 KiB pages, near the start of memory
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

    .text

/* From the loader. In: x0 the device tree. Calls guest_main(tree). */
entry:
    msr     daifset, #0xf
    adr     x1, _start
    ldr     x2, =_start
    cmp     x1, x2
    b.ne    park                        // no place of a guest
    ldr     x1, =__bss_start
    ldr     x2, =__bss_end
1:  stp     xzr, xzr, [x1], #16
    cmp     x1, x2
    b.lo    1b
    mov     x1, xzr
    adr     x19, guest_main
    b       prepare

/* From PSCI CPU_ON. In: x0 the context id, this CPU's number, below CPUS. Calls guest_secondary(number). */
    .global secondary_entry
secondary_entry:
    msr     daifset, #0xf
    mov     x1, x0
    adr     x19, guest_secondary

/* In: x0 for the function in x19, x1 this CPU's number. TPIDR_EL1 keeps the number. */
prepare:
    msr     tpidr_el1, x1
    ldr     x2, =SCTLR_OFF
    msr     sctlr_el1, x2
    mov     x2, #CPACR_FP_ENABLED
    msr     cpacr_el1, x2
    ldr     x2, =vectors
    msr     vbar_el1, x2
    isb
    msr     spsel, #1
    ldr     x2, =stacks + STACK_SIZE
    add     x2, x2, x1, lsl #STACK_SHIFT
    mov     sp, x2
    mov     x29, xzr
    blr     x19

    .global park
park:
    wfi
    b       park

/* A unikernel without a second CPU. */
    .weak guest_secondary
guest_secondary:
    b       park

/*
 * Exceptions: everything goes into a TrapFrame on the stack and to guest_exception(frame), which may change it; it is
 * then restored and returned to. No function in Python touches the FP and SIMD registers.
 */
    .macro vector number
    .balign 0x80
    sub     sp, sp, #TrapFrame_SIZE
    stp     x0, x1, [sp, #TrapFrame_x]
    mov     x0, #\number
    b       exception
    .endm

    .balign 0x800
    .global vectors
vectors:
    vector  0
    vector  1
    vector  2
    vector  3
    vector  4
    vector  5
    vector  6
    vector  7
    vector  8
    vector  9
    vector  10
    vector  11
    vector  12
    vector  13
    vector  14
    vector  15

exception:
    stp     x2, x3, [sp, #TrapFrame_x + 16 * 1]
    stp     x4, x5, [sp, #TrapFrame_x + 16 * 2]
    stp     x6, x7, [sp, #TrapFrame_x + 16 * 3]
    stp     x8, x9, [sp, #TrapFrame_x + 16 * 4]
    stp     x10, x11, [sp, #TrapFrame_x + 16 * 5]
    stp     x12, x13, [sp, #TrapFrame_x + 16 * 6]
    stp     x14, x15, [sp, #TrapFrame_x + 16 * 7]
    stp     x16, x17, [sp, #TrapFrame_x + 16 * 8]
    stp     x18, x19, [sp, #TrapFrame_x + 16 * 9]
    stp     x20, x21, [sp, #TrapFrame_x + 16 * 10]
    stp     x22, x23, [sp, #TrapFrame_x + 16 * 11]
    stp     x24, x25, [sp, #TrapFrame_x + 16 * 12]
    stp     x26, x27, [sp, #TrapFrame_x + 16 * 13]
    stp     x28, x29, [sp, #TrapFrame_x + 16 * 14]
    mrs     x1, elr_el1
    mrs     x2, spsr_el1
    mrs     x3, esr_el1
    mrs     x4, far_el1
    stp     x30, x1, [sp, #TrapFrame_x + 16 * 15]
    stp     x2, x3, [sp, #TrapFrame_pstate]
    stp     x4, x0, [sp, #TrapFrame_address]
    mov     x0, sp
    bl      guest_exception
    ldp     x30, x1, [sp, #TrapFrame_x + 16 * 15]
    ldr     x2, [sp, #TrapFrame_pstate]
    msr     elr_el1, x1
    msr     spsr_el1, x2
    ldp     x2, x3, [sp, #TrapFrame_x + 16 * 1]
    ldp     x4, x5, [sp, #TrapFrame_x + 16 * 2]
    ldp     x6, x7, [sp, #TrapFrame_x + 16 * 3]
    ldp     x8, x9, [sp, #TrapFrame_x + 16 * 4]
    ldp     x10, x11, [sp, #TrapFrame_x + 16 * 5]
    ldp     x12, x13, [sp, #TrapFrame_x + 16 * 6]
    ldp     x14, x15, [sp, #TrapFrame_x + 16 * 7]
    ldp     x16, x17, [sp, #TrapFrame_x + 16 * 8]
    ldp     x18, x19, [sp, #TrapFrame_x + 16 * 9]
    ldp     x20, x21, [sp, #TrapFrame_x + 16 * 10]
    ldp     x22, x23, [sp, #TrapFrame_x + 16 * 11]
    ldp     x24, x25, [sp, #TrapFrame_x + 16 * 12]
    ldp     x26, x27, [sp, #TrapFrame_x + 16 * 13]
    ldp     x28, x29, [sp, #TrapFrame_x + 16 * 14]
    ldp     x0, x1, [sp, #TrapFrame_x]
    add     sp, sp, #TrapFrame_SIZE
    eret

    .section .bss.stacks, "aw", %nobits
    .balign 16
stacks:
    .skip   STACK_SIZE * CPUS
