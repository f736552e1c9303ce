/*
 * The way in, by PVH (Xen, docs/misc/pvh.pandoc): flat 32-bit protected mode, ebx the start information. It maps the
 * first 4 GiB one to one, goes to 64-bit mode, and calls guest_main(start information).
 */
#include "layout.h"

#define CR0_PG (1 << 31)
#define CR4_PAE (1 << 5)
#define CR4_OSFXSR (1 << 9)
#define EFER 0xC0000080
#define EFER_LME (1 << 8)
#define TABLE 0x003
#define BLOCK 0x083
#define GIBIBYTES 4

    .section .note.pvh, "a", @note
    .balign 4
    .long   4, 4, 18                        // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz  "Xen"
    .long   _start

    .text
    .code32
    .global _start
_start:
    cli
    cld
    movl    $stack_top, %esp
    movl    $blocks, %edi
    movl    $BLOCK, %eax
1:  movl    %eax, (%edi)
    movl    $0, 4(%edi)
    addl    $8, %edi
    addl    $0x200000, %eax
    jnc     1b
    movl    $(blocks + TABLE), %eax
    movl    $directories, %edi
    movl    $GIBIBYTES, %ecx
2:  movl    %eax, (%edi)
    addl    $PAGE_SIZE, %eax
    addl    $8, %edi
    loop    2b
    movl    $(directories + TABLE), root
    call    to_long_mode
    .code64
    movl    %ebx, %edi
    call    guest_main
park:
    cli
    hlt
    jmp     park

/* From 32-bit mode with flat segments to 64-bit mode by these tables; returns there. Changes eax, ecx, edx. */
    .code32
    .global to_long_mode
to_long_mode:
    movl    $(CR4_PAE | CR4_OSFXSR), %eax
    movl    %eax, %cr4
    movl    $root, %eax
    movl    %eax, %cr3
    movl    $EFER, %ecx
    rdmsr
    orl     $EFER_LME, %eax
    wrmsr
    movl    %cr0, %eax
    orl     $CR0_PG, %eax
    movl    %eax, %cr0
    lgdtl   gdt_pointer
    ljmpl   $8, $long_mode

    .code64
long_mode:
    movl    $16, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %ss
    xorl    %ebp, %ebp
    movl    (%rsp), %eax                    // the caller pushed 32 bits
    addq    $4, %rsp
    jmp     *%rax

    .section .rodata
    .balign 8
gdt:
    .quad   0
    .quad   0x00AF9B000000FFFF
    .quad   0x00CF93000000FFFF
    .quad   0x00CF9B000000FFFF
gdt_pointer:
    .short  gdt_pointer - gdt - 1
    .long   gdt

    .section .bss.tables, "aw", @nobits
    .balign PAGE_SIZE
    .global root
root:
    .skip   PAGE_SIZE
    .global directories
directories:
    .skip   PAGE_SIZE
    .global blocks
blocks:
    .skip   GIBIBYTES * PAGE_SIZE

    .section .bss.stack, "aw", @nobits
    .balign 16
    .skip   STACK_SIZE
stack_top:
