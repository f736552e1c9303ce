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
