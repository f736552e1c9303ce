/*
 * What an exception does first (Arm DDI 0487, D1.10): sixteen entries of 32 instructions.
 *
 * From a guest, SP_EL2 is the address of the running vCPU's context (hv/arm64/context.py): all its registers are stored
 * there, and the handler runs on the CPU's empty stack. It returns the context to enter, which need not be the same.
 *
 * From the hypervisor itself, an interrupt is taken where interrupts are on, and everything else is a fault, which never
 * returns: its stub stores all registers and calls hypervisor_fault. The stack may be what is broken, so the frame goes
 * below SP only if that lies in a mapped half of a stack slot; otherwise it goes to the CPU's emergency stack, which is
 * given away once: a CPU that asks for it again stops there.
 */
#include "asm_offsets.h"
#include "layout.h"

#define STACK_BIT (STACK_SLOT_SHIFT - 1) /* set in all addresses of a slot's mapped half */

/*
 * Stub of a guest's exit. Convention of the handler: VcpuContext *handler(VcpuContext *), on an empty stack.
 */
    .macro guest_exit handler
    .balign 0x80
    stp     x0, x1, [sp, #VcpuContext_x + 16 * 0]
    stp     x2, x3, [sp, #VcpuContext_x + 16 * 1]
    stp     x4, x5, [sp, #VcpuContext_x + 16 * 2]
    stp     x6, x7, [sp, #VcpuContext_x + 16 * 3]
    stp     x8, x9, [sp, #VcpuContext_x + 16 * 4]
    stp     x10, x11, [sp, #VcpuContext_x + 16 * 5]
    stp     x12, x13, [sp, #VcpuContext_x + 16 * 6]
    stp     x14, x15, [sp, #VcpuContext_x + 16 * 7]
    stp     x16, x17, [sp, #VcpuContext_x + 16 * 8]
    stp     x18, x19, [sp, #VcpuContext_x + 16 * 9]
    stp     x20, x21, [sp, #VcpuContext_x + 16 * 10]
    stp     x22, x23, [sp, #VcpuContext_x + 16 * 11]
    stp     x24, x25, [sp, #VcpuContext_x + 16 * 12]
    stp     x26, x27, [sp, #VcpuContext_x + 16 * 13]
    stp     x28, x29, [sp, #VcpuContext_x + 16 * 14]
    mrs     x1, elr_el2
    mrs     x2, spsr_el2
    ldr     x3, [sp, #VcpuContext_stack]
    stp     x30, x1, [sp, #VcpuContext_x + 8 * 30]
    str     x2, [sp, #VcpuContext_pstate]
    mov     x0, sp
    mov     sp, x3
    mov     x29, xzr                    // the outermost frame
    bl      \handler
    b       enter
    .endm

/*
 * Stub of a fault. Convention: void hypervisor_fault(FaultFrame *), which does not return.
 * CNTHP_CVAL_EL2 holds x0 for a moment: nobody needs this CPU's alarm any more.
 */
    .macro fault number
    .balign 0x80
    msr     cnthp_cval_el2, x0
    sub     x0, sp, #FaultFrame_SIZE
    tbz     x0, #STACK_BIT, 1f
    lsr     x0, x0, #STACKS_SHIFT
    cmp     x0, #STACKS >> STACKS_SHIFT
    sub     x0, sp, #FaultFrame_SIZE
    b.eq    2f
1:  mrs     x0, tpidr_el2
    cbz     x0, stop                    // this CPU has no per-CPU area yet
    add     x0, x0, #PER_CPU_Emergency & ~0xfff
    add     x0, x0, #PER_CPU_Emergency & 0xfff
    ldr     x0, [x0, #Emergency_taken]
    cbnz    x0, stop
    mrs     x0, tpidr_el2
    add     x0, x0, #PER_CPU_Emergency & ~0xfff
    add     x0, x0, #PER_CPU_Emergency & 0xfff
    str     x0, [x0, #Emergency_taken]  // anything but zero
    add     x0, x0, #Emergency_frame & ~0xfff
    add     x0, x0, #Emergency_frame & 0xfff
2:  str     x1, [x0, #FaultFrame_x + 8]
    mov     w1, #\number
    b       save_frame
    .endm

    .text
    .balign 0x800
    .global vectors
vectors:
    fault   0                           // the hypervisor with SP_EL0, which it never uses
    fault   1
    fault   2
    fault   3

    fault   4                           // the hypervisor: synchronous
    .balign 0x80                        // interrupt
    b       host_interrupt
    fault   6                           // FIQ: no interrupt is of group 0
    fault   7                           // SError

    guest_exit guest_sync               // a guest in AArch64
    guest_exit guest_irq
    fault   10
    guest_exit guest_serror

    guest_exit guest_sync               // a guest's user in AArch32
    guest_exit guest_irq
    fault   14
    guest_exit guest_serror
    .balign 0x80

/*
 * Enters a vCPU: void enter_guest(VcpuContext *), for the first time from the idle loop; it leaves the stack empty.
 */
    .global enter_guest
enter_guest:
    mov     x1, sp
    orr     x1, x1, #STACK_SLOT - 1
    add     sp, x1, #1
/* The other half of guest_exit. In: x0 the context to enter, the stack empty. */
enter:
    mov     x1, sp
    ldr     x2, [x0, #VcpuContext_pstate]
    ldp     x30, x3, [x0, #VcpuContext_x + 8 * 30]
    str     x1, [x0, #VcpuContext_stack]
    mov     sp, x0
    msr     spsr_el2, x2
    msr     elr_el2, x3
    ldp     x28, x29, [sp, #VcpuContext_x + 16 * 14]
    ldp     x26, x27, [sp, #VcpuContext_x + 16 * 13]
    ldp     x24, x25, [sp, #VcpuContext_x + 16 * 12]
    ldp     x22, x23, [sp, #VcpuContext_x + 16 * 11]
    ldp     x20, x21, [sp, #VcpuContext_x + 16 * 10]
    ldp     x18, x19, [sp, #VcpuContext_x + 16 * 9]
    ldp     x16, x17, [sp, #VcpuContext_x + 16 * 8]
    ldp     x14, x15, [sp, #VcpuContext_x + 16 * 7]
    ldp     x12, x13, [sp, #VcpuContext_x + 16 * 6]
    ldp     x10, x11, [sp, #VcpuContext_x + 16 * 5]
    ldp     x8, x9, [sp, #VcpuContext_x + 16 * 4]
    ldp     x6, x7, [sp, #VcpuContext_x + 16 * 3]
    ldp     x4, x5, [sp, #VcpuContext_x + 16 * 2]
    ldp     x2, x3, [sp, #VcpuContext_x + 16 * 1]
    ldp     x0, x1, [sp, #VcpuContext_x + 16 * 0]
    eret
    dsb     nsh                         // nothing is speculated past the eret
    isb

/*
 * An interrupt while the hypervisor had them on: void hypervisor_irq(void). What a call may change is stored around it,
 * and x29 with the interrupted address makes a frame record, so that a backtrace crosses the interrupt.
 */
host_interrupt:
    stp     x29, x30, [sp, #-192]!
    stp     x0, x1, [sp, #32]
    stp     x2, x3, [sp, #48]
    stp     x4, x5, [sp, #64]
    stp     x6, x7, [sp, #80]
    stp     x8, x9, [sp, #96]
    stp     x10, x11, [sp, #112]
    stp     x12, x13, [sp, #128]
    stp     x14, x15, [sp, #144]
    stp     x16, x17, [sp, #160]
    mrs     x0, elr_el2
    mrs     x1, spsr_el2
    stp     x18, x1, [sp, #176]
    stp     x29, x0, [sp, #16]
    add     x29, sp, #16
    bl      hypervisor_irq
    ldp     x18, x1, [sp, #176]
    ldr     x0, [sp, #24]
    msr     elr_el2, x0
    msr     spsr_el2, x1
    ldp     x16, x17, [sp, #160]
    ldp     x14, x15, [sp, #144]
    ldp     x12, x13, [sp, #128]
    ldp     x10, x11, [sp, #112]
    ldp     x8, x9, [sp, #96]
    ldp     x6, x7, [sp, #80]
    ldp     x4, x5, [sp, #64]
    ldp     x2, x3, [sp, #48]
    ldp     x0, x1, [sp, #32]
    ldp     x29, x30, [sp], #192
    eret
    dsb     nsh
    isb

/* The rest of a fault. In: x0 the frame, x1 the entry's number; x0 and x1 of the interrupted code are stored as `fault` says. */
save_frame:
    stp     x2, x3, [x0, #FaultFrame_x + 16 * 1]
    stp     x4, x5, [x0, #FaultFrame_x + 16 * 2]
    stp     x6, x7, [x0, #FaultFrame_x + 16 * 3]
    stp     x8, x9, [x0, #FaultFrame_x + 16 * 4]
    stp     x10, x11, [x0, #FaultFrame_x + 16 * 5]
    stp     x12, x13, [x0, #FaultFrame_x + 16 * 6]
    stp     x14, x15, [x0, #FaultFrame_x + 16 * 7]
    stp     x16, x17, [x0, #FaultFrame_x + 16 * 8]
    stp     x18, x19, [x0, #FaultFrame_x + 16 * 9]
    stp     x20, x21, [x0, #FaultFrame_x + 16 * 10]
    stp     x22, x23, [x0, #FaultFrame_x + 16 * 11]
    stp     x24, x25, [x0, #FaultFrame_x + 16 * 12]
    stp     x26, x27, [x0, #FaultFrame_x + 16 * 13]
    stp     x28, x29, [x0, #FaultFrame_x + 16 * 14]
    mov     x2, sp
    str     x30, [x0, #FaultFrame_x + 8 * 30]
    str     x2, [x0, #FaultFrame_sp]
    str     x1, [x0, #FaultFrame_vector]
    mrs     x2, cnthp_cval_el2
    mrs     x3, elr_el2
    mrs     x4, spsr_el2
    mrs     x5, esr_el2
    mrs     x6, far_el2
    mrs     x7, hpfar_el2
    str     x2, [x0, #FaultFrame_x]
    str     x3, [x0, #FaultFrame_pc]
    str     x4, [x0, #FaultFrame_pstate]
    str     x5, [x0, #FaultFrame_syndrome]
    str     x6, [x0, #FaultFrame_address]
    str     x7, [x0, #FaultFrame_guest_address]
    mov     sp, x0
    bl      hypervisor_fault
/* This CPU stops: void stop_cpu(void). */
    .global stop_cpu
stop_cpu:
stop:
    msr     daifset, #0xf
1:  wfi
    b       1b

/* Where compiled functions go that find the canary changed: void __stack_chk_fail(void). hv/arm64/exceptions.py knows the number. */
    .global __stack_chk_fail
__stack_chk_fail:
    brk     #0x5400
    b       stop
