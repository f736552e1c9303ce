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
