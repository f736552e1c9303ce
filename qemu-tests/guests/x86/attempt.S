/*
 * What a hostile unikernel needs and Python cannot say: running wild code and surviving it, and looking at vector
 * registers.
 *
 * void attempt(u64 code, u64 a, u64 b, u64 cpu): calls code with rdi = a, rsi = b and wild values in the other registers.
 * It comes back when that returns, or by resume(cpu), which a handler on a stack of its own calls; then no register can
 * be trusted, so the stack pointer is in `kept`, one word for each CPU. Interrupts are off behind it.
 */
#include "layout.h"

    .section .text.attempt, "ax"
    .global attempt
attempt:
    pushq   %rbp
    pushq   %rbx
    pushq   %r12
    pushq   %r13
    pushq   %r14
    pushq   %r15
    movq    %rsp, kept(, %rcx, 8)
    leaq    came_back(%rip), %rax
    pushq   %rax
    pushq   %rdi
    movq    %rsi, %rdi
    movq    %rdx, %rsi
    movq    %rdi, %rax
    xorq    %rsi, %rax
    rorq    $7, %rax
    leaq    (%rsi, %rax, 2), %rcx
    leaq    (%rdi, %rcx, 4), %rdx
    leaq    (%rcx, %rax), %rbx
    leaq    (%rdx, %rcx), %rbp
    movq    %rax, %r8
    movq    %rcx, %r9
    movq    %rdx, %r10
    movq    %rbx, %r11
    movq    %rdi, %r12
    movq    %rsi, %r13
    movq    %rax, %r14
    movq    %rdx, %r15
    ret                                     // to the code
came_back:
    int3                                    // its handler knows the stack, whatever rsp is now

/* void resume(u64 cpu): goes on behind attempt. By IRET, which lets NMIs in again. */
    .global resume
resume:
    movq    kept(, %rdi, 8), %rax
    movq    $16, %rcx
    pushq   %rcx
    pushq   %rax
    pushq   $2
    pushq   $8
    leaq    1f(%rip), %rcx
    pushq   %rcx
    iretq
1:  popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %rbx
    popq    %rbp
    cld
    ret

/* u64 came_back_at(void): behind the instruction that ends an attempt which nothing has ended. */
    .global came_back_at
came_back_at:
    leaq    came_back + 1(%rip), %rax
    ret

/* void fill_vectors(u64 pattern): every XMM register gets words made from it. */
    .global fill_vectors
fill_vectors:
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    leaq    \n(%rdi), %rax
    movq    %rax, %xmm\n
    punpcklqdq %xmm\n, %xmm\n
    .endr
    ret

/* u64 check_vectors(u64 pattern): a bit for each that holds anything else; bit 16: MXCSR is not what it is at reset. */
    .global check_vectors
check_vectors:
    pushq   %rbx
    subq    $16, %rsp
    xorl    %eax, %eax
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    leaq    \n(%rdi), %rbx
    movdqu  %xmm\n, (%rsp)
    cmpq    %rbx, (%rsp)
    jne     1f
    cmpq    %rbx, 8(%rsp)
    je      2f
1:  orl     $(1 << \n), %eax
2:
    .endr
    stmxcsr (%rsp)
    cmpl    $0x1F80, (%rsp)
    je      1f
    orl     $(1 << 16), %eax
1:  addq    $16, %rsp
    popq    %rbx
    ret

/* u64 any_vectors(void): nonzero when any XMM register is not zero, MXCSR not what it is at reset, or a debug register
 * holds an address. */
    .global any_vectors
any_vectors:
    xorl    %eax, %eax
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    movq    %xmm\n, %rcx
    orq     %rcx, %rax
    movdqu  %xmm\n, -16(%rsp)
    orq     -8(%rsp), %rax
    .endr
    stmxcsr -4(%rsp)
    movl    -4(%rsp), %ecx
    xorq    $0x1F80, %rcx
    orq     %rcx, %rax
    .irp n, 0,1,2,3
    movq    %dr\n, %rcx
    orq     %rcx, %rax
    .endr
    ret

/* Task state segments and the stacks on which exceptions are taken, one for each CPU. */
    .global trap_stacks
    .section .bss.attempt, "aw", @nobits
    .balign STACK_SIZE
trap_stacks:
    .skip   STACK_SIZE * 2
    .balign 8
kept:
    .skip   8 * 2
