/*
 * Firmware at EL3 for QEMU's virt machine with secure=on: it gives interrupts and memory to the non-secure side, enters
 * the hypervisor on CPU 0, holds the other CPUs at EL2 in a spin table, and answers a few calls. There is no PSCI CPU_ON.
 *
 * All CPUs begin at address 0, in EL3. Given: GIC, its version; KERNEL, TREE: where CPU 0 goes with what; TABLE: a page
 * that begins with a word for each CPU; SHARED: all use the second; ANSWER_1, ANSWER_3: of SMCCC_ARCH_FEATURES for SMCCC_ARCH_WORKAROUND_1 and 3.
 * Sources: Linux Documentation/arch/arm64/booting.rst; Arm DEN 0028 (SMC Calling Convention).
 */

#define UART 0x09000000
#define GICD 0x08000000
#define GICC 0x08010000
#define GICR 0x080A0000
#define GICR_STRIDE 0x20000
#define GICR_PRIVATE 0x10000

/* Non-secure, HVC and SMC, AArch64; of newer CPUs: pointer authentication, fine-grained traps, HCRX_EL2. */
#define SCR 0x4008030531
#define SPSR 0x3c9 /* EL2 with its own stack pointer, all masked */
#define SPIN_CODE 0x800 /* in TABLE */
#define CALLS 0x900 /* in TABLE: how often the workaround was called, a word for each CPU */
#define STACKS 0xa40 /* in TABLE: the end of the first */
#define STACK_SHIFT 6

    .text
    .global _start
_start:
    mrs     x19, mpidr_el1
    and     x19, x19, #0xff
    adr     x0, vectors
    msr     vbar_el3, x0
    ldr     x0, =SCR
    msr     scr_el3, x0
    msr     cptr_el3, xzr
    isb
    ldr     x20, =TABLE
    add     x0, x20, x19, lsl #STACK_SHIFT
    add     sp, x0, #STACKS

#if GIC == 2
    ldr     x1, =GICD
    mov     w2, #-1
    str     w2, [x1, #0x80]             // each CPU's own interrupts are of group 1
    cbnz    x19, 2f
    add     x3, x1, #0x84
    mov     x4, #31
1:  str     w2, [x3], #4
    subs    x4, x4, #1
    b.ne    1b
2:  ldr     x1, =GICC
    mov     w2, #0xff
    str     w2, [x1, #4]                // the other side may set its own mask
#else
    ldr     x1, =GICR
    mov     x2, #GICR_STRIDE
    madd    x1, x19, x2, x1
    add     x1, x1, #GICR_PRIVATE
    mov     w2, #-1
    str     w2, [x1, #0x80]
    cbnz    x19, 2f
    ldr     x1, =GICD
    mov     w3, #0x30                   // affinity routing, for both sides
    str     w3, [x1]
    add     x3, x1, #0x84
    mov     x4, #31
1:  str     w2, [x3], #4
    subs    x4, x4, #1
    b.ne    1b
2:  mov     x1, #0xf
    msr     s3_6_c12_c12_5, x1          // ICC_SRE_EL3
    isb
    mov     x1, #0xf
    msr     s3_4_c12_c9_5, x1           // ICC_SRE_EL2
    isb
#endif

    movz    x0, #0x0830
    movk    x0, #0x30c5, lsl #16
    msr     sctlr_el2, x0
    mov     x0, #SPSR
    msr     spsr_el3, x0
    str     xzr, [x20, x19, lsl #3]
    cbnz    x19, 3f
    ldr     x0, =KERNEL
    msr     elr_el3, x0
    ldr     x0, =TREE
    mov     x1, xzr
    mov     x2, xzr
    mov     x3, xzr
    eret

/* The non-secure side cannot run from here, so each CPU takes its loop along: they all write the same. */
3:  adr     x1, spin
    add     x2, x20, #SPIN_CODE
    ldp     x3, x4, [x1]
    stp     x3, x4, [x2]
    dsb     sy
    ic      iallu
    isb
    msr     elr_el3, x2
#if SHARED
    add     x0, x20, #8
#else
    add     x0, x20, x19, lsl #3
#endif
    eret

    .balign 8
spin:
    wfe
    ldr     x1, [x0]
    cbz     x1, spin
    br      x1

    .balign 0x800
vectors:
    .skip   0x400                       // synchronous, from AArch64 below; interrupts do not come here
    b       call

    .balign 0x800
/* An SMC. It keeps all registers but x0. */
call:
    stp     x2, x3, [sp, #-16]!
    mov     w2, #0x80000000
    cmp     w0, w2
    b.eq    version
    orr     w2, w2, #1
    cmp     w0, w2
    b.eq    features
    ldr     w2, =0x80008000
    cmp     w0, w2
    b.eq    workaround
    ldr     w2, =0x80003fff
    cmp     w0, w2
    b.eq    workaround
    ldr     w2, =0x84000000
    cmp     w0, w2
    b.eq    psci
    ldr     w2, =0x8400000a
    cmp     w0, w2
    b.eq    psci_features
    mov     x0, #-1
    b       out
version:
    ldr     x0, =0x10002
    b       out
psci:
    ldr     x0, =0x10001
    b       out
psci_features:                          // of PSCI there is nothing else: the convention itself is
    mov     w2, #0x80000000
    cmp     w1, w2
    csetm   x0, ne
    b       out
features:
    mov     x0, #-1
    ldr     w2, =0x80008000
    cmp     w1, w2
    b.ne    1f
    mov     x0, #ANSWER_1
1:  ldr     w2, =0x80003fff
    cmp     w1, w2
    b.ne    out
    mov     x0, #ANSWER_3
out:
    ldp     x2, x3, [sp], #16
    eret
/* Counted; the first and every 1024th is told. */
workaround:
    stp     x0, x1, [sp, #-16]!
    mrs     x2, mpidr_el1
    and     x2, x2, #0xff
    ldr     x3, =TABLE + CALLS
    ldr     x1, [x3, x2, lsl #3]
    add     x0, x1, #1
    str     x0, [x3, x2, lsl #3]
    tst     x1, #1023
    b.ne    3f
    ldr     x3, =UART
    adr     x1, told
    ldr     w2, [sp]
    tst     w2, #0x8000
    b.ne    1f
    adr     x1, told_3
1:  ldrb    w0, [x1], #1
    cbz     w0, 3f
    str     w0, [x3]
    b       1b
3:  ldp     x0, x1, [sp], #16
    b       out
told:
    .asciz  "\r\n(firmware) function 80008000\r\n"
told_3:
    .asciz  "\r\n(firmware) function 80003fff\r\n"
    .balign 8
    .ltorg
