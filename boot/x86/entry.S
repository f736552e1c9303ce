/*
 * The way in: from GRUB (Multiboot2 2.0) and from QEMU or Xen (PVH), to Python at its link address.
 *
 * Both start the image in 32-bit protected mode without paging, anywhere below 4 GiB on a 2 MiB boundary. Until it runs
 * at its link address, code counts from the image's physical address in ebp. It builds the boot tables: the image at its
 * link address, never both writable and executable, and the 2 MiB page with this code where it physically is. Python replaces them at once on the boot CPU; the other CPUs pass
 * through them as well, so they stay as they are.
 */
#include "asm_offsets.h"
#include "layout.h"

#define AT(symbol) (symbol - LINK_ADDRESS)(%ebp)
#define ENTRY(table, index) (table - LINK_ADDRESS)(%ebp,index,8)

    .section .head, "ax"
    .code32

/* Multiboot2 2.0, 3.1. No framebuffer is asked for: the firmware's text mode does, and some cannot change it. */
    .balign 8
    .global multiboot2_header               // for hv.lds
multiboot2_header:
    .long   0xE85250D6
    .long   0                               // i386 protected mode
    .long   multiboot2_end - multiboot2_header
    .long   -(0xE85250D6 + (multiboot2_end - multiboot2_header))

    .balign 8
1:  .short  1, 1                            // information request, optional
    .long   2f - 1b
    .long   1, 3, 6, 14, 15, 17, 21         // command line, modules, memory map, RSDP old and new, EFI's map, load base
2:  .balign 8
1:  .short  6, 0                            // modules on page boundaries
    .long   8
    .balign 8
1:  .short  10, 1                           // relocatable, optional
    .long   24
    .long   0x100000, 0xFFFFFFFF            // from, to
    .long   0x200000, 0                     // boundary, no preference
    .balign 8
    .short  0, 0
    .long   8
multiboot2_end:

/* For PVH loaders (Xen public/elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY). */
    .section .pvh_note, "a", @note
    .balign 4
    .long   4, 4, 18
    .asciz  "Xen"
    .long   pvh_start - LINK_ADDRESS + LOAD_ADDRESS

    .section .head, "ax"

/*
 * From a PVH loader (Xen public/arch-x86/hvm/start_info.h). In: ebx the start info. Segments lie where the file says.
 */
    .global pvh_start
pvh_start:
    movl    $LOAD_ADDRESS, %ebp
    movl    $BY_PVH, %esi
    jmp     started_32

/*
 * From a Multiboot2 loader. In: eax its magic number, ebx the boot information, whose second word is reserved: the only
 * memory that is known to be there to find out where this code runs.
 */
    .global _start
_start:
    cmpl    $0x36D76289, %eax
    jne     park
    leal    8(%ebx), %esp
    call    1f
1:  popl    %ebp
    subl    $(1b - LINK_ADDRESS), %ebp
    movl    $0, 4(%ebx)
    movl    $BY_MULTIBOOT2, %esi

/* Keeps: ebx what the loader left, ebp the image's physical address, esi by whom. */
started_32:
    cli
    cld
    leal    AT(boot_stack_top), %esp
    pushl   %esi
    pushl   %ebx
    movl    $0x80000000, %eax
    cpuid
    cmpl    $0x80000001, %eax
    jb      too_old
    movl    $0x80000001, %eax
    cpuid
    andl    $(1 << 29 | 1 << 20), %edx      // long mode, and pages that are never executed
    cmpl    $(1 << 29 | 1 << 20), %edx
    jne     too_old

    /* The image: tables that lie one behind the other, so a page's number is an index into both of them. */
    leal    AT(boot_image_pt), %edi
    movl    %ebp, %ecx
    leal    AT(__text_end), %edx
    movl    $LEAF, %esi
    xorl    %eax, %eax
    call    map_image
    leal    AT(__rodata_end), %edx
    movl    $LEAF_NEVER_EXECUTE_HIGH, %eax
    call    map_image
    leal    AT(__end), %edx
    orl     $LEAF_WRITE, %esi
    call    map_image

    leal    AT(boot_image_pt + TABLE), %eax
    movl    %eax, AT(boot_image_pd)
    addl    $PAGE_SIZE, %eax
    movl    %eax, AT(boot_image_pd + 8)
    leal    AT(boot_image_pd + TABLE), %eax
    movl    %eax, AT(boot_image_pdpt)
    leal    AT(boot_image_pdpt + TABLE), %eax
    movl    %eax, AT(boot_root + 8 * LINK_SLOT)

    /* This code where it is. */
    leal    AT(boot_self_pdpt + TABLE), %eax
    movl    %eax, AT(boot_root)
    movl    %ebp, %ecx
    shrl    $30, %ecx
    leal    AT(boot_self_pd + TABLE), %eax
    movl    %eax, ENTRY(boot_self_pdpt, %ecx)
    movl    %ebp, %ecx
    shrl    $21, %ecx
    andl    $511, %ecx
    leal    (LEAF | LEAF_LARGE)(%ebp), %eax
    movl    %eax, ENTRY(boot_self_pd, %ecx)

    leal    AT(boot_gdt), %eax
    movl    %eax, AT(boot_gdt_pointer + 2)
    leal    AT(long_mode), %eax
    movl    %eax, AT(boot_far_pointer)
    popl    %ebx
    popl    %esi

/*
 * Paging and 64-bit mode on, without use of a stack. In: ebp the image's physical address, esi not zero on the boot CPU.
 */
enter_long_mode:
    lgdtl   AT(boot_gdt_pointer)
    movl    $CR4_PAE, %eax
    movl    %eax, %cr4
    leal    AT(boot_root), %eax
    movl    %eax, %cr3
    movl    $EFER, %ecx
    rdmsr
    orl     $(EFER_LME | EFER_NXE), %eax
    wrmsr
    movl    $CR0_ON, %eax
    movl    %eax, %cr0
    ljmpl   *AT(boot_far_pointer)

/*
 * Another CPU, from boot/x86/trampoline.S: 32-bit protected mode with flat segments. In: ebp the image's physical address.
 */
    .global secondary_start
secondary_start:
    xorl    %esi, %esi
    jmp     enter_long_mode

/*
 * Fills leaves. In: edi the next entry, ecx the next page, edx where to stop, esi the leaf's lower half, eax its upper.
 * Out: edi and ecx moved on. Changes ebx.
 */
map_image:
    cmpl    %edx, %ecx
    jae     2f
1:  movl    %ecx, %ebx
    orl     %esi, %ebx
    movl    %ebx, (%edi)
    movl    %eax, 4(%edi)
    addl    $8, %edi
    addl    $PAGE_SIZE, %ecx
    cmpl    %edx, %ecx
    jb      1b
2:  ret

/* For a machine that cannot run us: its first serial port is all that may be listening. */
too_old:
    leal    AT(too_old_text), %esi
1:  movl    $0x3FD, %edx
2:  inb     %dx, %al
    testb   $0x20, %al
    jz      2b
    lodsb
    testb   %al, %al
    jz      park
    movl    $0x3F8, %edx
    outb    %al, %dx
    jmp     1b
too_old_text:
    .asciz  "(hv) this CPU cannot run 64-bit code or forbid pages to be executed\r\n"

park:
    cli
    hlt
    jmp     park

    .code64
long_mode:
    xorl    %eax, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %ss
    movl    %eax, %fs
    movl    %eax, %gs
    testl   %esi, %esi
    movabsq $started, %rax
    movabsq $secondary_started, %rcx
    cmovzq  %rcx, %rax
    jmp     *%rax

/* Written to before paging is on, and read where it physically is. */
    .balign 8
boot_gdt:
    .quad   0
    .quad   0x00AF9B000000FFFF              // CODE64
    .quad   0x00CF93000000FFFF              // DATA32
    .quad   0x00CF9B000000FFFF              // CODE32
boot_gdt_end:
boot_gdt_pointer:
    .short  boot_gdt_end - boot_gdt - 1
    .long   0
    .global boot_far_pointer                // for hv.lds
boot_far_pointer:
    .long   0
    .short  CODE64

    .text
/*
 * The boot CPU at its link address. ebx what the loader left, ebp the image's physical address, esi by whom.
 * boot() builds the address space and returns the top of this CPU's stack in it; initialise() stays there.
 */
started:
    leaq    boot_stack_top(%rip), %rsp
    movl    %ebx, %r12d
    movl    %ebp, %r13d
    movl    %esi, %r14d
    xorl    %ebp, %ebp

    /* The canary: the time and the load address are what differs from boot to boot. Its first byte ends a string. */
    rdtsc
    shlq    $32, %rdx
    orq     %rdx, %rax
    xorq    %r13, %rax
    movabsq $0x7F4A9E3779B97C15, %rcx
    imulq   %rcx, %rax
    movq    %rax, %rcx
    shrq    $29, %rcx
    xorq    %rcx, %rax
    xorb    %al, %al
    movq    %rax, __stack_chk_guard(%rip)

    xorl    %edi, %edi
    call    attach_cpu
    movq    %r12, %rdi
    movq    %r13, %rsi
    movl    %r14d, %edx
    call    boot
    movq    %rax, %rsp
    xorl    %ebp, %ebp
    call    initialise
    ud2

/*
 * Another CPU at its link address. Its number is that of the per-CPU area which holds its APIC ID (Intel SDM 3A, 9.4.5;
 * CPUID leaf 0BH where there is one). One that no area knows stops.
 */
secondary_started:
    xorl    %eax, %eax
    cpuid
    cmpl    $0xB, %eax
    jb      1f
    movl    $0xB, %eax
    xorl    %ecx, %ecx
    cpuid
    testw   %bx, %bx
    jnz     2f
1:  movl    $1, %eax
    cpuid
    shrl    $24, %ebx
    movl    %ebx, %edx
2:  leaq    cx_per_cpu(%rip), %rsi
    xorl    %edi, %edi
3:  cmpl    cpus_named(%rip), %edi
    jae     stop_cpu
    cmpl    %edx, PER_CPU_CpuPlace + CpuPlace_apic_id(%rsi)
    je      4f
    addq    $PER_CPU_SIZE, %rsi
    incl    %edi
    jmp     3b
4:  movq    hypervisor_root(%rip), %rax
    movq    %rax, %cr3
    movl    %edi, %eax
    incq    %rax
    shlq    $STACK_SLOT_SHIFT, %rax
    movabsq $STACKS, %rcx
    leaq    (%rax,%rcx), %rsp
    xorl    %ebp, %ebp
    movl    %edi, %ebx
    call    attach_cpu
    movl    %ebx, %edi
    call    boot_secondary
    ud2

    .section .bss.entry, "aw", @nobits
    .balign 16
boot_stack:
    .skip   PAGE_SIZE * 4
boot_stack_top:

/* CR3 for all CPUs; boot() fills it in. */
    .global hypervisor_root
    .balign 8
hypervisor_root:
    .skip   8
/* How many per-CPU areas have an APIC ID. */
    .global cpus_named
cpus_named:
    .skip   4

    .section .data.canary, "aw"
    .global __stack_chk_guard
    .balign 8
__stack_chk_guard:
    .quad   0

    .section .boot_tables, "aw", @nobits
    .balign PAGE_SIZE
boot_root:
    .skip   PAGE_SIZE
boot_image_pdpt:
    .skip   PAGE_SIZE
boot_image_pd:
    .skip   PAGE_SIZE
boot_image_pt:                              // hv.lds asserts that the image fits
    .skip   2 * PAGE_SIZE
boot_self_pdpt:
    .skip   PAGE_SIZE
boot_self_pd:
    .skip   PAGE_SIZE
