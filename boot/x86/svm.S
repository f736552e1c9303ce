/*
 * Into a guest and out of it again, by SVM (AMD APM 2, 15.5).
 *
 * void enter_svm(VcpuContext *) gives up what is on this CPU's stack. When the guest comes out, its general registers go
 * to the context, and VcpuContext *svm_exit(VcpuContext *) runs on the empty stack; what it returns is entered next, which
 * need not be the same. RAX and RSP of the guest are in its VMCB, where svm_exit finds them.
 *
 * From CLGI to STGI nothing interrupts, not even an NMI, so the segment and task registers may be the guest's. IF is set
 * when the guest is entered: then whatever interrupt is pending, or comes, brings it out, and is taken later.
 */
#include "asm_offsets.h"
#include "layout.h"

#ifdef SvmCpu_host                          // in a build with SVM

#define REGISTER(n) (VcpuContext_registers + 8 * (n))(%rdi)

    .section .text.svm, "ax"
    .global enter_svm
enter_svm:
    movq    %rsp, %rax
    orq     $((1 << STACK_PART_SHIFT) - 1), %rax
    leaq    -15(%rax), %rsp                 // two words below the top
1:  movq    %gs:0, %rax
    movq    (PER_CPU_SvmCpu + SvmCpu_host)(%rax), %rax
    movq    %rdi, (%rsp)
    movq    %rax, 8(%rsp)
    clgi
    sti
    movq    VcpuContext_control(%rdi), %rax
    vmload  %rax
    movq    REGISTER(1), %rcx
    movq    REGISTER(2), %rdx
    movq    REGISTER(3), %rbx
    movq    REGISTER(5), %rbp
    movq    REGISTER(6), %rsi
    movq    REGISTER(8), %r8
    movq    REGISTER(9), %r9
    movq    REGISTER(10), %r10
    movq    REGISTER(11), %r11
    movq    REGISTER(12), %r12
    movq    REGISTER(13), %r13
    movq    REGISTER(14), %r14
    movq    REGISTER(15), %r15
    movq    REGISTER(7), %rdi
    .global vmrun
vmrun:
    vmrun   %rax
    vmsave  %rax
    pushq   %rdi
    movq    8(%rsp), %rdi
    popq    REGISTER(7)
    movq    8(%rsp), %rax
    vmload  %rax
    cli
    stgi
    movq    %rcx, REGISTER(1)
    movq    %rdx, REGISTER(2)
    movq    %rbx, REGISTER(3)
    movq    %rbp, REGISTER(5)
    movq    %rsi, REGISTER(6)
    movq    %r8, REGISTER(8)
    movq    %r9, REGISTER(9)
    movq    %r10, REGISTER(10)
    movq    %r11, REGISTER(11)
    movq    %r12, REGISTER(12)
    movq    %r13, REGISTER(13)
    movq    %r14, REGISTER(14)
    movq    %r15, REGISTER(15)
    /* Nothing is speculated on what the guest left in them; rbp begins the frames. */
    xorl    %ecx, %ecx
    xorl    %edx, %edx
    xorl    %ebx, %ebx
    xorl    %ebp, %ebp
    xorl    %esi, %esi
    xorl    %r8d, %r8d
    xorl    %r9d, %r9d
    xorl    %r10d, %r10d
    xorl    %r11d, %r11d
    xorl    %r12d, %r12d
    xorl    %r13d, %r13d
    xorl    %r14d, %r14d
    xorl    %r15d, %r15d
    cld
    call    svm_exit
    movq    %rax, %rdi
    jmp     1b
#endif
