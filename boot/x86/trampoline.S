/*
 * Where another CPU begins (Intel SDM 3A, 8.4.4): real mode, at a page below 1 MiB. Python copies this to such a page and
 * fills in what stands behind it (hv/x86/smp.py). It goes to 32-bit mode with flat segments, and on to secondary_start in
 * boot/x86/entry.S, where that physically is.
 */
#include "layout.h"

    .section .rodata.trampoline, "a"
    .balign 16
    .global trampoline
    .code16
trampoline:
    cli
    cld
    movw    %cs, %ax
    movw    %ax, %ds
    movzwl  %ax, %ebx
    shll    $4, %ebx
    lgdtl   trampoline_gdt_pointer - trampoline
    movl    $(CR0_ET | CR0_PE), %eax        // and the caches on, which INIT turns off
    movl    %eax, %cr0
    ljmpl   *(trampoline_far_pointer - trampoline)

    .code32
trampoline_32:
    movl    $DATA32, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %ss
    movl    (trampoline_image - trampoline)(%ebx), %ebp
    movl    (trampoline_entry - trampoline)(%ebx), %eax
    jmpl    *%eax

    .balign 8
trampoline_gdt:
    .quad   0
    .quad   0
    .quad   0x00CF93000000FFFF              // DATA32
    .quad   0x00CF9B000000FFFF              // CODE32
trampoline_gdt_end:
trampoline_gdt_pointer:
    .short  trampoline_gdt_end - trampoline_gdt - 1
    .global trampoline_gdt_base
trampoline_gdt_base:
    .long   trampoline_gdt - trampoline     // Python adds where the page is
trampoline_far_pointer:
    .global trampoline_far_offset
trampoline_far_offset:
    .long   trampoline_32 - trampoline      // here, too
    .short  CODE32
    .global trampoline_image
trampoline_image:
    .long   0
    .global trampoline_entry
trampoline_entry:
    .long   0
    .global trampoline_end
trampoline_end:
