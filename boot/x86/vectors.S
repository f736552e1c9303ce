/*
 * What an exception or interrupt does first (Intel SDM 3A, 6.14): a stub of 16 bytes for each of 256 vectors, which
 * completes the CPU's frame by an error code and the vector.
 *
 * An exception's registers are all stored, in the order of hv/x86/exceptions.py's FaultFrame, and void
 * exception_taken(FaultFrame *) decides; it returns only when the interrupted code may go on. An NMI's go to void
 * nmi_taken(FaultFrame *) in the same way. NMI, machine check and double fault come on stacks of their own; every other
 * vector on the stack that it finds.
 *
 * An interrupt is taken only where the hypervisor lets them in: void interrupt_taken(u64 vector). What a call may change
 * is stored around it, and rbp with the interrupted address makes a frame record, so that a backtrace crosses it.
 */
#include "layout.h"

/* Stores all registers, below an error code and a vector, or takes them back and returns. */
    .macro  store_registers
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
    .endm
    .macro  return_with_registers
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
    .endm

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
    .if     number == 2
    jmp     nmi
    .elseif number < 32
    jmp     exception
    .else
    jmp     interrupt
    .endif
    .set    number, number + 1
    .endr

exception:
    store_registers
    movq    %rsp, %rdi
    call    exception_taken
    return_with_registers

/*
 * The CPU stores an NMI's frame at the top of the NMI stack, wherever it was, and takes no other NMI until an IRET. Any
 * fault that the handler takes and survives ends in one, and then the next NMI may come while the first is still being
 * handled: its frame would overwrite the first one's. So the frame is moved before anything else. The top of the stack is
 * only where NMIs land; the handler works below that, or, when the interrupted code was itself on this stack, below what
 * it uses there. No fault can happen in between, and an NMI may come at any instruction behind it, IRET included.
 */
nmi:
    pushq   %rax
    pushq   %rcx
    movq    56(%rsp), %rax                  // the interrupted stack pointer
    movq    %rax, %rcx
    xorq    %rsp, %rcx
    shrq    $STACK_PART_SHIFT, %rcx
    jz      1f
    leaq    (72 - NMI_LANDING)(%rsp), %rax  // 72 bytes have been stored
1:  andq    $-16, %rax
    .irp    word, 64, 56, 48, 40, 32, 24, 16, 8 // ss, rsp, rflags, cs, rip, error code, vector, rax
    movq    \word(%rsp), %rcx
    movq    %rcx, (\word - 72)(%rax)
    .endr
    popq    %rcx
    leaq    -64(%rax), %rsp
    popq    %rax
    store_registers
    movq    %rsp, %rdi
    call    nmi_taken
    return_with_registers

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
