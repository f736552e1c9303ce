/*
 * The vectors of CPUs whose branch predictor a guest could train for the hypervisor (hv/arm64/exit_guard.py). Each exit
 * of a guest first has the firmware forget what was learned, or displaces the history of branches, or both; then it goes
 * on through the plain vectors. What comes from the hypervisor itself goes there at once.
 *
 * Source: Arm, Spectre-BHB (2022), 4: a loop of taken branches, and a barrier behind it; Arm DEN 0028, 7 (the functions
 * keep x4 and above).
 */
#include "asm_offsets.h"

    .macro plain entry
    .balign 0x80
    b       vectors + \entry
    .endm

    .macro guarded entry
    .balign 0x80
    stp     x0, x1, [sp, #VcpuContext_x]
    stp     x2, x3, [sp, #VcpuContext_x + 16]
    adrp    x1, exit_guard
    add     x1, x1, :lo12:exit_guard
    ldp     x0, x2, [x1]
    cbz     x0, 1f
    smc     #0
    adrp    x1, exit_guard + 8
    ldr     x2, [x1, :lo12:exit_guard + 8]
1:  cbz     x2, 3f
2:  b       4f
4:  subs    x2, x2, #1
    b.ne    2b
    dsb     nsh
    isb
3:  ldp     x2, x3, [sp, #VcpuContext_x + 16]
    ldp     x0, x1, [sp, #VcpuContext_x]
    b       vectors + \entry
    .endm

    .text
    .balign 0x800
    .global guarded_vectors
guarded_vectors:
    plain   0x000
    plain   0x080
    plain   0x100
    plain   0x180
    plain   0x200
    plain   0x280
    plain   0x300
    plain   0x380
    guarded 0x400                       // a guest in AArch64: synchronous, interrupt
    guarded 0x480
    plain   0x500                       // FIQ: a fault
    guarded 0x580
    guarded 0x600                       // a guest's user in AArch32
    guarded 0x680
    plain   0x700
    guarded 0x780
    .balign 0x80

/* The firmware's function, and how many branches: each 0 for none. */
    .section .data.exit_guard, "aw"
    .global exit_guard
    .balign 16
exit_guard:
    .quad   0
    .quad   0
