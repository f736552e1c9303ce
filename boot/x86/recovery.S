/*
 * Coming back from a fault on purpose, for self-tests (hv/x86/recovery.py). A build without them refers to none of this,
 * and the linker leaves it out.
 */
#include "asm_offsets.h"
#include "layout.h"

    .section .text.recovery, "ax"

/* u64 code_address(void): where its caller goes on. */
    .global code_address
code_address:
    movq    (%rsp), %rax
    ret

/*
 * u64 call_and_catch(Catcher *, void (*function)(void)): calls the function, and returns 0. When come_back is called
 * meanwhile, returns 1, with what a call keeps as it was.
 */
    .global call_and_catch
call_and_catch:
    pushq   %rbp
    movq    %rsp, %rbp
    pushfq
    popq    Catcher_flags(%rdi)
    movq    %rbx, Catcher_kept(%rdi)
    movq    %r12, Catcher_kept + 8 * 1(%rdi)
    movq    %r13, Catcher_kept + 8 * 2(%rdi)
    movq    %r14, Catcher_kept + 8 * 3(%rdi)
    movq    %r15, Catcher_kept + 8 * 4(%rdi)
    movq    %rbp, Catcher_stack(%rdi)
    call    *%rsi
    xorl    %eax, %eax
    popq    %rbp
    ret

/* void come_back(Catcher *): from whatever stack. Behind IRET, NMIs are no longer held back. */
    .global come_back
come_back:
    movq    Catcher_kept(%rdi), %rbx
    movq    Catcher_kept + 8 * 1(%rdi), %r12
    movq    Catcher_kept + 8 * 2(%rdi), %r13
    movq    Catcher_kept + 8 * 3(%rdi), %r14
    movq    Catcher_kept + 8 * 4(%rdi), %r15
    movq    Catcher_stack(%rdi), %rbp
    movq    %rbp, %rsp
    pushq   $0
    pushq   %rbp
    pushq   Catcher_flags(%rdi)
    pushq   $CODE64
    leaq    1f(%rip), %rax
    pushq   %rax
    iretq
1:  movl    $1, %eax
    popq    %rbp
    ret
