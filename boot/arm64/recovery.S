/*
 * Coming back from a fault on purpose, for self-tests (hv/arm64/recovery.py). A build without them refers to none of this,
 * and the linker leaves it out.
 */
#include "asm_offsets.h"

    .section .text.recovery, "ax"

/* u64 code_address(void): where its caller goes on. */
    .global code_address
code_address:
    mov     x0, x30
    ret

/*
 * u64 call_and_catch(Catcher *, void (*function)(void)): calls the function, and returns 0. When come_back is called
 * meanwhile, returns 1, with what a call keeps as it was.
 */
    .global call_and_catch
call_and_catch:
    stp     x29, x30, [sp, #-16]!
    mov     x29, sp
    stp     x19, x20, [x0, #Catcher_kept + 16 * 0]
    stp     x21, x22, [x0, #Catcher_kept + 16 * 1]
    stp     x23, x24, [x0, #Catcher_kept + 16 * 2]
    stp     x25, x26, [x0, #Catcher_kept + 16 * 3]
    stp     x27, x28, [x0, #Catcher_kept + 16 * 4]
    mrs     x2, daif
    str     x29, [x0, #Catcher_stack]
    str     x2, [x0, #Catcher_masks]
    blr     x1
    mov     x0, #0
    ldp     x29, x30, [sp], #16
    ret

/* void come_back(Catcher *): from whatever stack. The emergency stack is free again (boot/arm64/vectors.S, fault). */
    .global come_back
come_back:
    mrs     x1, tpidr_el2
    add     x1, x1, #PER_CPU_Emergency & ~0xfff
    add     x1, x1, #PER_CPU_Emergency & 0xfff
    str     xzr, [x1, #Emergency_taken]
    ldp     x19, x20, [x0, #Catcher_kept + 16 * 0]
    ldp     x21, x22, [x0, #Catcher_kept + 16 * 1]
    ldp     x23, x24, [x0, #Catcher_kept + 16 * 2]
    ldp     x25, x26, [x0, #Catcher_kept + 16 * 3]
    ldp     x27, x28, [x0, #Catcher_kept + 16 * 4]
    ldr     x29, [x0, #Catcher_stack]
    ldr     x2, [x0, #Catcher_masks]
    mov     sp, x29
    msr     daif, x2
    mov     x0, #1
    ldp     x29, x30, [sp], #16
    ret
