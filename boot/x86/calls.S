/* Instructions with more results than an inline one can give. */

    .text

/* void read_cpuid(u32 leaf, u32 subleaf, Leaf *to): eax, ebx, ecx, edx, in this order. */
    .global read_cpuid
read_cpuid:
    pushq   %rbx
    movq    %rdx, %r8
    movl    %edi, %eax
    movl    %esi, %ecx
    cpuid
    movl    %eax, (%r8)
    movl    %ebx, 4(%r8)
    movl    %ecx, 8(%r8)
    movl    %edx, 12(%r8)
    popq    %rbx
    ret

/* u64 read_msr_or(u32 register, u64 otherwise): `otherwise` when the CPU has no such register. */
    .global read_msr_or
read_msr_or:
    movl    %edi, %ecx
1:  rdmsr
    shlq    $32, %rdx
    orq     %rdx, %rax
    ret
2:  movq    %rsi, %rax
    ret

/* Where an instruction may fault, and where to go on then: hv/x86/exceptions.py looks them up. */
    .section .fixups, "a"
    .quad   1b, 2b
