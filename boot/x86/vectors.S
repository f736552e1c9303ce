/*
 * What an exception or interrupt does first (Intel SDM 3A, 6.14): a stub of 16 bytes for each of 256 vectors, which
 * completes the CPU's frame by an error code and the vector.
 *
 * An exception's registers are all stored, in the order of hv/x86/exceptions.py's FaultFrame, and void
 * exception_taken(FaultFrame *) decides; it returns only when the interrupted code may go on. NMI, machine check and
 * double fault come on stacks of their own; every other vector on the stack that it finds.
 *
 * An interrupt is taken only where the hypervisor lets them in: void interrupt_taken(u64 vector). What a call may change
 * is stored around it, and rbp with the interrupted address makes a frame record, so that a backtrace crosses it.
 */
#include "layout.h"

    .text
    .balign 16
    .global vectors
vectors:
    .set    number, 0
    .rept   256
    .balign 16
    /* Those for which the CPU pushes an error code itself: 8, 10 to 14, 17, 21, 29, 30. */
    .if     number >= 32 || (0x60227D00 >> number & 1) == 0
    pushq   $0
    .endif
    .if     number < 128
    pushq   $number
    .else
    pushq   $(number - 256)                 // sign-extended: only its low byte counts
    .endif
    .if     number < 32
    jmp     exception
    .else
    jmp     interrupt
    .endif
    .set    number, number + 1
    .endr

exception:
    pushq   %rdi
    pushq   %rsi
    pushq   %rdx
    pushq   %rcx
    pushq   %rax
    pushq   %r8
    pushq   %r9
    pushq   %r10
    pushq   %r11
    pushq   %rbx
    pushq   %rbp
    pushq   %r12
    pushq   %r13
    pushq   %r14
    pushq   %r15
    cld
    movq    %rsp, %rdi
    call    exception_taken
    popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %rbp
    popq    %rbx
    popq    %r11
    popq    %r10
    popq    %r9
    popq    %r8
    popq    %rax
    popq    %rcx
    popq    %rdx
    popq    %rsi
    popq    %rdi
    addq    $16, %rsp
    iretq

interrupt:
    pushq   16(%rsp)                        // the interrupted address, and below it rbp: a frame record
    pushq   %rbp
    movq    %rsp, %rbp
    pushq   %rdi
    pushq   %rsi
    pushq   %rdx
    pushq   %rcx
    pushq   %rax
    pushq   %r8
    pushq   %r9
    pushq   %r10
    pushq   %r11
    cld
    movzbl  16(%rbp), %edi
    call    interrupt_taken
    popq    %r11
    popq    %r10
    popq    %r9
    popq    %r8
    popq    %rax
    popq    %rcx
    popq    %rdx
    popq    %rsi
    popq    %rdi
    popq    %rbp
    addq    $24, %rsp
    iretq

/* This CPU stops: void stop_cpu(void). An NMI does not wake it for good. */
    .global stop_cpu
stop_cpu:
    cli
1:  hlt
    jmp     1b

/* Where compiled functions go that find the canary changed: void __stack_chk_fail(void). hv/x86/exceptions.py knows the number. */
    .global __stack_chk_fail
__stack_chk_fail:
    ud1l    0x54(%eax), %eax
    jmp     stop_cpu
