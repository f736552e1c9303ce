/*
 * void doom(u64 code, u64 address, u64 stack): executes the code with this stack pointer, and rdi and rbp the address.
 * Nothing comes back.
 */
    .section .text.doom, "ax"
    .global doom
doom:
    movq    %rdx, %rsp
    movq    %rsi, %rbp
    movq    %rdi, %rax
    movq    %rsi, %rdi
    jmp     *%rax
