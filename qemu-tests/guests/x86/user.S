/*
 * void set_as_user(u64 value): XSETBV of XCR0 without privilege. The handler of the exception that it makes, or else the
 * instruction behind it, goes on at from_user, with the stack pointer as it is then (back_to_kernel in lib/user.py).
 */
#include "layout.h"

    .section .text.user, "ax"
    .global set_as_user
set_as_user:
    movq    %rsp, %rcx
    leaq    1f(%rip), %rax
    pushq   $USER_DATA
    pushq   %rcx
    pushq   $2
    pushq   $USER_CODE
    pushq   %rax
    movl    %edi, %eax
    movq    %rdi, %rdx
    shrq    $32, %rdx
    xorl    %ecx, %ecx
    iretq
1:  xsetbv
    ud2
    .global from_user
from_user:
    ret
