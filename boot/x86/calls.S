/* Instructions that may fault. */

    .text

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
