/*
 * The way in, by PVH, and out again, by PVH (Xen, docs/misc/pvh.pandoc): flat 32-bit protected mode without paging, ebx
 * the start information. In between, 64-bit mode with the first 4 GiB mapped one to one; loader_main(start information)
 * returns where the kernel is entered. TR keeps what it had.
 */
#include "layout.h"

#define CR0_PE (1 << 0)
#define CR0_ET (1 << 4)
#define CR0_PG (1 << 31)
#define CR4_PAE (1 << 5)
#define EFER 0xC0000080
#define EFER_LME (1 << 8)
#define CODE64 0x08
#define DATA 0x10
#define CODE32 0x18
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
    movl    $CR4_PAE, %eax
    movl    %eax, %cr4
    movl    $root, %eax
    movl    %eax, %cr3
    movl    $EFER, %ecx
    rdmsr
    orl     $EFER_LME, %eax
    wrmsr
    movl    $(CR0_PG | CR0_ET | CR0_PE), %eax
    movl    %eax, %cr0
    lgdtl   gdt_pointer
    ljmpl   $CODE64, $inside

    .code64
inside:
    movl    $DATA, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %ss
    xorl    %ebp, %ebp
    movl    %ebx, %edi
    call    loader_main
    movl    %eax, %esi
    pushq   $CODE32
    pushq   $outside
    lretq

    .code32
outside:
    movl    $(CR0_ET | CR0_PE), %eax
    movl    %eax, %cr0
    movl    $EFER, %ecx
    rdmsr
    andl    $~EFER_LME, %eax
    wrmsr
    xorl    %eax, %eax
    movl    %eax, %cr4
    movl    $DATA, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %fs
    movl    %eax, %gs
    movl    %eax, %ss
    pushl   $2
    popfl
    jmp     *%esi

    .section .rodata
    .balign 8
gdt:
    .quad   0
    .quad   0x00AF9B000000FFFF              // 64-bit code
    .quad   0x00CF93000000FFFF              // data, all of 4 GiB
    .quad   0x00CF9B000000FFFF              // 32-bit code, all of 4 GiB
gdt_pointer:
    .short  gdt_pointer - gdt - 1
    .long   gdt

    .section .bss.tables, "aw", @nobits
    .balign PAGE_SIZE
root:
    .skip   PAGE_SIZE
directories:
    .skip   PAGE_SIZE
blocks:
    .skip   GIBIBYTES * PAGE_SIZE

    .section .bss.stack, "aw", @nobits
    .balign 16
    .skip   STACK_SIZE
stack_top:
