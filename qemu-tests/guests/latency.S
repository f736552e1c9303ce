/*
 * When an interrupt reaches the first instruction of its handler: u64 spin_until(u64 deadline, u64 nops) and
 * u64 wait_until(u64 deadline, u64 nops) set the virtual timer and open the interrupts; the handler reads the counter
 * and returns from them, with interrupts masked as they were. No register that a function must keep is touched.
 */
#define DITHER 16
#define ENABLE 1
#define IRQ_HERE 5 /* vectors: EL1 with its own stack (Arm DDI 0487, D1.10.2) */

    .text
    .macro await wait:vararg
    mrs     x4, vbar_el1
    adr     x3, latency_vectors
    msr     vbar_el1, x3
    adr     x2, read_counter
    sub     x2, x2, x1, lsl #2          // what the handler jumps to
    msr     cntv_cval_el0, x0
    mov     x3, #ENABLE
    msr     cntv_ctl_el0, x3
    isb
    msr     daifclr, #2
1:  \wait
    b       1b
    .endm

    .global spin_until
spin_until:
    await

    .global wait_until
wait_until:
    await   wfi

    .rept   DITHER - 1
    nop
    .endr
read_counter:
    mrs     x0, cntvct_el0
    msr     vbar_el1, x4
    isb
    ret

    .balign 0x800
latency_vectors:
    .set    number, 0
    .rept   16
    .balign 0x80
    .if number == IRQ_HERE
    br      x2
    .else
    b       vectors + number * 0x80
    .endif
    .set    number, number + 1
    .endr
