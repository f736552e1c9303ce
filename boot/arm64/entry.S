/*
 * The way in: from a boot loader (arm64 Image protocol), from PSCI CPU_ON and from spin tables, to Python at its link
 * address.
 *
 * The image may lie on any 4 KiB boundary. Until `switch_on` has turned the MMU on, code runs at its physical address,
 * reaches data by adrp alone, and uses no stack. It builds the boot tables: the image at its link address, never both
 * writable and executable, and the one page with `switch_on` where it physically is. Python replaces them at once on the
 * boot CPU; the other CPUs pass through them as well, so they stay as they are.
 *
 * What is stored with the MMU off goes past the caches, so its cache lines are invalidated before it is read through them.
 */
#include "layout.h"

    .section .head, "ax"
    .global _start
_start:
    /* Linux Documentation/arm64/booting.rst: little endian, 4 KiB pages, anywhere in memory. */
    b       entry
    .long   0
    .quad   0                           // text_offset
    .quad   __image_size
    .quad   0xa                         // flags
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .long   0

    .text

/*
 * From the boot loader. In: x0 the device tree's physical address, MMU and data cache off, interrupts masked.
 * Keeps: x20 the tree, x21 the image's physical address.
 */
entry:
    msr     daifset, #0xf
    mrs     x1, CurrentEL
    cmp     x1, #2 << 2
    b.ne    park                        // EL1 has no way to start a hypervisor
    mov     x20, x0
    adrp    x21, _start

    adrp    x0, __boot_tables_start
    adrp    x1, __boot_tables_end
1:  stp     xzr, xzr, [x0], #16
    stp     xzr, xzr, [x0], #16
    stp     xzr, xzr, [x0], #16
    stp     xzr, xzr, [x0], #16
    cmp     x0, x1
    b.lo    1b

    /* The image: level 3 tables that lie one behind the other, so a page's number is an index into all of them. */
    adrp    x0, boot_image_level3
    adrp    x1, _start
    movz    x3, #LEAF_NEVER_EXECUTE >> 48, lsl #48
    mov     x4, #LEAF
    orr     x5, x4, #LEAF_READ_ONLY
    adrp    x2, __text_end
    bl      map_image
    orr     x5, x5, x3
    adrp    x2, __rodata_end
    bl      map_image
    orr     x5, x4, x3
    adrp    x2, __end
    bl      map_image

    adrp    x0, boot_root
    adrp    x1, boot_image_level1
    adrp    x2, boot_image_level2
    adrp    x3, boot_image_level3
    add     x4, x1, #TABLE
    str     x4, [x0, #8 * 1]            // the image's 512 GiB: its link address is the first byte of them
    add     x4, x2, #TABLE
    str     x4, [x1]
    add     x4, x3, #TABLE
    str     x4, [x2]
    add     x4, x4, #PAGE_SIZE
    str     x4, [x2, #8]

    /* switch_on where it is: through the tables above where they already lead there, else through three of its own. */
    adrp    x3, switch_on
    adrp    x2, boot_identity_level1
    ubfx    x1, x3, #39, #9
    bl      descend
    adrp    x2, boot_identity_level2
    ubfx    x1, x3, #30, #9
    bl      descend
    adrp    x2, boot_identity_level3
    ubfx    x1, x3, #21, #9
    bl      descend
    ubfx    x1, x3, #PAGE_SHIFT, #9
    mov     x4, #LEAF | LEAF_READ_ONLY
    orr     x4, x4, x3
    ldr     x5, [x0, x1, lsl #3]
    cmp     x5, x4
    ccmp    x5, #0, #4, ne
    b.ne    park                        // loaded askew over its own link address
    str     x4, [x0, x1, lsl #3]

    dmb     sy
    mrs     x3, ctr_el0
    ubfx    x3, x3, #16, #4             // log2 of the smallest data cache line, in words
    mov     x4, #4
    lsl     x4, x4, x3
    adrp    x0, __boot_tables_start
    adrp    x1, __boot_tables_end
1:  dc      ivac, x0
    add     x0, x0, x4
    cmp     x0, x1
    b.lo    1b

    ldr     x19, =started
    b       prepare

/*
 * From a spin table. In: nothing; MMU and caches off. It waits until the pen names this CPU, then goes on as from PSCI.
 */
    .global pen_entry
pen_entry:
    msr     daifset, #0xf
    mrs     x1, mpidr_el1
    mov     x2, #0xffffff               // AFFINITY_MASK
    movk    x2, #0xff, lsl #32
    and     x1, x1, x2
    adrp    x2, pen
    add     x2, x2, :lo12:pen
1:  ldr     x3, [x2]
    cmp     x3, x1
    b.eq    2f
    wfe
    b       1b
2:  dmb     sy                          // the number was there before the name
    ldr     x0, [x2, #8]

/*
 * From PSCI. In: x0 the CPU's number, which was CPU_ON's context id; MMU and caches off.
 */
    .global secondary_entry
secondary_entry:
    msr     daifset, #0xf
    mrs     x1, CurrentEL
    cmp     x1, #2 << 2
    b.ne    park
    mov     x20, x0
    ldr     x19, =secondary_started

/*
 * Sets EL2 up and goes to the link address in x19 through switch_on. Keeps x19 and above.
 */
prepare:
    msr     spsel, #1
    mov     x0, #SCTLR_OFF & 0xffff
    movk    x0, #SCTLR_OFF >> 16, lsl #16
    msr     sctlr_el2, x0
    mov     x0, #HCR_HOST & 0xffff
    movk    x0, #(HCR_HOST >> 16) & 0xffff, lsl #16
    msr     hcr_el2, x0                 // leaves E2H off
    isb
    mrs     x1, hcr_el2
    tbnz    x1, #34, park               // a CPU that only knows EL2 with E2H
    mov     x0, #CPTR_HOST
    msr     cptr_el2, x0
    msr     tpidr_el2, xzr              // no per-CPU area yet
    ldr     x0, =vectors
    msr     vbar_el2, x0
    mov     x0, #MAIR & 0xffff
    movk    x0, #MAIR >> 16, lsl #16
    msr     mair_el2, x0
    mov     x0, #TCR & 0xffff
    movk    x0, #TCR >> 16, lsl #16
    mrs     x1, id_aa64mmfr0_el1
    and     x1, x1, #0xf                // PARange
    mov     x2, #5
    cmp     x1, x2
    csel    x1, x1, x2, lo              // 52 bits need another format: 48 do
    bfi     x0, x1, #16, #3
    msr     tcr_el2, x0
    adrp    x0, boot_root
    msr     ttbr0_el2, x0
    mov     x0, #SCTLR_ON & 0xffff
    movk    x0, #SCTLR_ON >> 16, lsl #16
    dsb     sy
    isb
    b       switch_on

/* This and nothing else is mapped where it physically is. In: x0 SCTLR_EL2, x19 where to go. */
    .global switch_on                   // for hv.lds
    .balign 64
switch_on:
    tlbi    alle2
    ic      iallu
    dsb     nsh
    isb
    msr     sctlr_el2, x0
    isb
    br      x19

/* For a machine that cannot run us: there is no console yet to say so on. */
park:
    wfe
    b       park

/*
 * Fills leaves. In: x0 the next entry, x1 the next page, x2 where to stop, x5 the leaf's attributes.
 * Out: x0 and x1 moved on. Changes x6.
 */
map_image:
    cmp     x1, x2
    b.hs    2f
1:  orr     x6, x1, x5
    str     x6, [x0], #8
    add     x1, x1, #PAGE_SIZE
    cmp     x1, x2
    b.lo    1b
2:  ret

/*
 * One step down. In: x0 a table, x1 the index, x2 a table to put there when there is none.
 * Out: x0 the table that is there. Changes x4.
 */
descend:
    ldr     x4, [x0, x1, lsl #3]
    cbnz    x4, 1f
    add     x4, x2, #TABLE
    str     x4, [x0, x1, lsl #3]
1:  and     x0, x4, #~(PAGE_SIZE - 1)
    ret

/*
 * The boot CPU at its link address. x20 the tree, x21 the image's physical address.
 * boot() builds the address space and returns the top of this CPU's stack in it; initialise() stays there.
 */
started:
    ldr     x0, =__bss_start
    ldr     x1, =__bss_end
    sub     x1, x1, x0
    bl      zero_bytes
    ldr     x0, =boot_stack_top
    mov     sp, x0
    mov     x29, xzr
    mov     x30, xzr

    /* The canary: the counter and the load address are what differs from boot to boot. Its first byte ends a string. */
    mrs     x0, cntpct_el0
    movz    x1, #0x7f4a, lsl #48
    movk    x1, #0x9e37, lsl #32
    movk    x1, #0x79b9, lsl #16
    movk    x1, #0x7c15
    eor     x0, x0, x21
    mul     x0, x0, x1
    eor     x0, x0, x0, lsr #29
    and     x0, x0, #~0xff
    adrp    x1, __stack_chk_guard
    str     x0, [x1, :lo12:__stack_chk_guard]

    mov     w0, wzr
    bl      attach_cpu
    mov     x0, x20
    mov     x1, x21
    bl      boot
    mov     sp, x0
    mov     x29, xzr
    bl      initialise
    b       park

/* Another CPU at its link address. x20 its number. Both roots map the image alike, so the change needs no detour. */
secondary_started:
    adrp    x0, hypervisor_root
    ldr     x0, [x0, :lo12:hypervisor_root]
    msr     ttbr0_el2, x0
    isb
    tlbi    alle2
    dsb     nsh
    isb
    ldr     x0, =STACKS + STACK_SLOT
    add     x0, x0, x20, lsl #STACK_SLOT_SHIFT
    mov     sp, x0
    mov     x29, xzr
    mov     x0, x20
    bl      attach_cpu
    mov     x0, x20
    bl      boot_secondary
    b       park

    .ltorg

    .section .bss.entry, "aw", %nobits
    .balign 16
boot_stack:
    .skip   STACK_SIZE
boot_stack_top:

/* TTBR0_EL2 for all CPUs; boot() fills it in. */
    .global hypervisor_root
    .balign 8
hypervisor_root:
    .skip   8

/* hv/arm64/spintable.py: the affinity of the CPU that may leave, at first nobody's, and its number. */
    .section .data.pen, "aw"
    .global pen
    .balign 16
pen:
    .quad   -1
    .quad   0

    .section .data.canary, "aw"
    .global __stack_chk_guard
    .balign 8
__stack_chk_guard:
    .quad   0

    .section .boot_tables, "aw", %nobits
    .balign PAGE_SIZE
boot_root:
    .skip   PAGE_SIZE
boot_image_level1:
    .skip   PAGE_SIZE
boot_image_level2:
    .skip   PAGE_SIZE
boot_image_level3:                      // hv.lds asserts that the image fits
    .skip   2 * PAGE_SIZE
boot_identity_level1:
    .skip   PAGE_SIZE
boot_identity_level2:
    .skip   PAGE_SIZE
boot_identity_level3:
    .skip   PAGE_SIZE
