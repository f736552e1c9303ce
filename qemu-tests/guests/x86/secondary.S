/*
 * Where another CPU begins: in real mode at a page below 1 MiB, to which secondary … secondary_end is copied. It goes to
 * 64-bit mode by the first CPU's tables and calls guest_secondary() on a stack of its own; one at a time.
 */
#include "layout.h"

    .section .text.secondary, "ax"
    .global secondary
    .code16
secondary:
    cli
    movw    %cs, %ax
    movw    %ax, %ds
    lgdtl   3f - secondary
    movl    $0x11, %eax
    movl    %eax, %cr0
    ljmpl   $24, $secondary_32
    .balign 4
3:  .short  31
    .long   secondary_gdt
    .global secondary_end
secondary_end:

    .code32
secondary_32:
    movl    $16, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %ss
    movl    $secondary_stack, %esp
    call    to_long_mode
    .code64
    call    guest_secondary
1:  cli
    hlt
    jmp     1b

    .weak   guest_secondary
guest_secondary:
    ret

    .section .rodata.secondary, "a"
    .balign 8
secondary_gdt:
    .quad   0
    .quad   0x00AF9B000000FFFF
    .quad   0x00CF93000000FFFF
    .quad   0x00CF9B000000FFFF

    .section .bss.secondary, "aw", @nobits
    .balign 16
    .skip   STACK_SIZE
secondary_stack:
