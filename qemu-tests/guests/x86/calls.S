/* u64 hypercall(u64 number, u64 a, u64 b, u64 c): by VMMCALL, as public/arch-x86/xen-x86_64.h has it. */
    .section .text.hypercall, "ax"
    .global hypercall
hypercall:
    movl    %edi, %eax
    movq    %rsi, %rdi
    movq    %rdx, %rsi
    movq    %rcx, %rdx
    vmmcall
    ret

/* u64 no_hypercall(u64 number, u64 a, u64 b, u64 c): as hypercall, without the call. */
    .section .text.no_hypercall, "ax"
    .global no_hypercall
no_hypercall:
    movl    %edi, %eax
    movq    %rsi, %rdi
    movq    %rdx, %rsi
    movq    %rcx, %rdx
    ret

/* u64 hypercall5(u64 number, u64 a, u64 b, u64 c, u64 d, u64 e): with five arguments. */
    .section .text.hypercall5, "ax"
    .global hypercall5
hypercall5:
    movl    %edi, %eax
    movq    %rsi, %rdi
    movq    %rdx, %rsi
    movq    %rcx, %rdx
    movq    %r8, %r10
    movq    %r9, %r8
    vmmcall
    ret

/* u64 call_page(u64 entry, u64 a, u64 b, u64 c): through an entry of the hypercall page. */
    .section .text.call_page, "ax"
    .global call_page
call_page:
    movq    %rdi, %rax
    movq    %rsi, %rdi
    movq    %rdx, %rsi
    movq    %rcx, %rdx
    call    *%rax
    ret

/* u64 hypercall_narrow(u64 number, u64 a, u64 b, u64 c): from 32-bit code, as public/arch-x86/xen-x86_32.h has it. */
    .section .text.hypercall_narrow, "ax"
    .global hypercall_narrow
hypercall_narrow:
    pushq   %rbx
    movl    %edi, %eax
    movl    %esi, %ebx
    movl    %ecx, %esi
    movl    %edx, %ecx
    movl    %esi, %edx
    pushq   $24
    pushq   $1f
    lretq
    .code32
1:  vmmcall
    ljmpl   $8, $2f
    .code64
2:  movl    %eax, %eax
    popq    %rbx
    ret

/* u64 hypercall_prefixed(u64 number, u64 a, u64 b, u64 c): with a segment prefix. Who goes on behind three bytes, as if
   there were none, executes FLDPI and doubles the answer, of 32 bits. */
    .section .text.hypercall_prefixed, "ax"
    .global hypercall_prefixed
hypercall_prefixed:
    movl    %edi, %eax
    movq    %rsi, %rdi
    movq    %rdx, %rsi
    movq    %rcx, %rdx
    .byte   0x3e, 0x0f, 0x01, 0xd9          // ds vmmcall
    .byte   0xeb, 0x01, 0xc0                // jmp past the last; from its second byte on: add %eax, %eax
    fninit
    ret
