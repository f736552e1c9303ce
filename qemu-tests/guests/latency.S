/*
 * When an interrupt reaches the first instruction of its handler: u64 spin_until(u64 deadline, u64 nops) and
 * u64 wait_until(u64 deadline, u64 nops) set the virtual timer and open the interrupts; the handler reads the counter
 * and returns from them, with interrupts masked as they were. u64 raise_after(u64 nops, u64 address, u32 value) stores
 * a value to a device instead, with interrupts open, and returns what the counter has advanced since the instruction
 * before. No register that a function must keep is touched.
 */
#define DITHER 16
#define ENABLE 1
#define IRQ_HERE 5 /* vectors: EL1 with its own stack (Arm DDI 0487, D1.10.2) */

    .text
    /* The handler jumps to x5. */
    .macro handle
    mrs     x4, vbar_el1
    adr     x3, latency_vectors
    msr     vbar_el1, x3
    .endm

    .macro await wait:vararg
    handle
    adr     x5, read_counter
    sub     x5, x5, x1, lsl #2
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

    .global raise_after
raise_after:
    handle
    adr     x5, subtract
    adr     x3, 1f
    sub     x3, x3, x0, lsl #2
    msr     daifclr, #2
    br      x3
    .rept   DITHER - 1
    nop
    .endr
1:  isb
    mrs     x6, cntvct_el0
    str     w2, [x1]
2:  b       2b
subtract:
    mrs     x0, cntvct_el0
    sub     x0, x0, x6
    b       restore

    .rept   DITHER - 1
    nop
    .endr
read_counter:
    mrs     x0, cntvct_el0
restore:
    msr     vbar_el1, x4
    isb
    ret

    .balign 0x800
latency_vectors:
    .set    number, 0
    .rept   16
    .balign 0x80
    .if number == IRQ_HERE
    br      x5
    .else
    b       vectors + number * 0x80
    .endif
    .set    number, number + 1
    .endr
