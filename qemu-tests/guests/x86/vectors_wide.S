/* void fill_wide(u64 pattern): every YMM register gets words made from it, other ones in its upper half. */
    .section .text.fill_wide, "ax"
    .global fill_wide
fill_wide:
    subq    $32, %rsp
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    leaq    \n(%rdi), %rax
    movq    %rax, (%rsp)
    movq    %rax, 8(%rsp)
    notq    %rax
    movq    %rax, 16(%rsp)
    movq    %rax, 24(%rsp)
    vmovdqu (%rsp), %ymm\n
    .endr
    addq    $32, %rsp
    ret

/* u64 check_wide(u64 pattern): a bit for each that holds anything else; bit 16: MXCSR is not what it is at reset. */
    .section .text.check_wide, "ax"
    .global check_wide
check_wide:
    subq    $32, %rsp
    xorl    %eax, %eax
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    vmovdqu %ymm\n, (%rsp)
    leaq    \n(%rdi), %rcx
    cmpq    %rcx, (%rsp)
    jne     1f
    cmpq    %rcx, 8(%rsp)
    jne     1f
    notq    %rcx
    cmpq    %rcx, 16(%rsp)
    jne     1f
    cmpq    %rcx, 24(%rsp)
    je      2f
1:  orl     $(1 << \n), %eax
2:
    .endr
    stmxcsr (%rsp)
    cmpl    $0x1F80, (%rsp)
    je      1f
    orl     $(1 << 16), %eax
1:  addq    $32, %rsp
    ret

/* void use_wide(void): an instruction of AVX, of 4 bytes, that changes nothing but rax. */
    .section .text.use_wide, "ax"
    .global use_wide
use_wide:
    vmovd   %xmm0, %eax
    ret
