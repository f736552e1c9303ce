/*
 * Exceptions and interrupts of a unikernel: each vector's stub takes 16 bytes, stores what a call may change, and calls
 * guest_trap(vector, error code, address of the frame that the CPU pushed).
 */
    .section .text.vectors, "ax"
    .balign 16
    .global vectors
vectors:
    .set    number, 0
    .rept   256
    .balign 16
    .if     number >= 32 || (0x60227D00 >> number & 1) == 0
    pushq   $0
    .endif
    .if     number < 128
    pushq   $number
    .else
    pushq   $(number - 256)
    .endif
    jmp     trap
    .set    number, number + 1
    .endr

trap:
    pushq   %rax
    pushq   %rcx
    pushq   %rdx
    pushq   %rsi
    pushq   %rdi
    pushq   %r8
    pushq   %r9
    pushq   %r10
    pushq   %r11
    pushq   %rbp
    movq    %rsp, %rbp
    movzbl  80(%rsp), %edi
    movq    88(%rsp), %rsi
    leaq    96(%rsp), %rdx
    andq    $-16, %rsp
    cld
    call    guest_trap
    movq    %rbp, %rsp
    popq    %rbp
    popq    %r11
    popq    %r10
    popq    %r9
    popq    %r8
    popq    %rdi
    popq    %rsi
    popq    %rdx
    popq    %rcx
    popq    %rax
    addq    $16, %rsp
    iretq

/* A unikernel without interrupts. */
    .weak   guest_trap
guest_trap:
    ud2
