/*
 * Moving and clearing memory, with general registers only. All of it must be mapped, and normal memory.
 * The compiler calls memcpy, memmove, memset and memcmp by itself, with their usual conventions.
 *
 * String instructions are what CPUs are fastest at for whole pages; short runs go word by word.
 */

#define SHORT 64

    .text

/* void zero_bytes(void *to, u64 length). */
    .global zero_bytes
zero_bytes:
    movq    %rsi, %rdx
    xorl    %eax, %eax
    jmp     fill

/* void *memset(void *to, int byte, u64 length). */
    .global memset
memset:
    movzbl  %sil, %eax
    movabsq $0x0101010101010101, %rcx
    imulq   %rcx, %rax

/* In: rdi where, rax the byte eight times, rdx the length. Out: rax where. Changes rcx, rdi, r8. */
fill:
    movq    %rdi, %r8
    movq    %rdx, %rcx
    shrq    $3, %rcx
    cmpq    $SHORT, %rdx
    jb      1f
    rep stosq
    jmp     2f
3:  movq    %rax, (%rdi)
    addq    $8, %rdi
    decq    %rcx
1:  testq   %rcx, %rcx
    jnz     3b
2:  andl    $7, %edx
    jz      5f
4:  movb    %al, (%rdi)
    incq    %rdi
    decl    %edx
    jnz     4b
5:  movq    %r8, %rax
    ret

/* void *memcpy(void *to, const void *from, u64 length): the ranges do not overlap. Changes rcx, rdx, rsi, rdi, r8. */
    .global memcpy
    .global copy_memory                     // its name in Python (hv/x86/stubs.py)
memcpy:
copy_memory:
    movq    %rdi, %rax
    movq    %rdx, %rcx
    shrq    $3, %rcx
    cmpq    $SHORT, %rdx
    jb      1f
    rep movsq
    jmp     2f
3:  movq    (%rsi), %r8
    movq    %r8, (%rdi)
    addq    $8, %rsi
    addq    $8, %rdi
    decq    %rcx
1:  testq   %rcx, %rcx
    jnz     3b
2:  andl    $7, %edx
    jz      5f
4:  movb    (%rsi), %cl
    movb    %cl, (%rdi)
    incq    %rsi
    incq    %rdi
    decl    %edx
    jnz     4b
5:  ret

/* void *memmove(void *to, const void *from, u64 length). */
    .global memmove
memmove:
    movq    %rdi, %rcx
    subq    %rsi, %rcx
    cmpq    %rdx, %rcx
    jae     memcpy                          // the copy runs upwards ahead of what it overwrites
    movq    %rdi, %rax
1:  cmpq    $8, %rdx
    jb      2f
    subq    $8, %rdx
    movq    (%rsi,%rdx), %r8
    movq    %r8, (%rdi,%rdx)
    jmp     1b
3:  decq    %rdx
    movb    (%rsi,%rdx), %cl
    movb    %cl, (%rdi,%rdx)
2:  testq   %rdx, %rdx
    jnz     3b
    ret

/* int memcmp(const void *a, const void *b, u64 length). */
    .global memcmp
memcmp:
    xorl    %ecx, %ecx
1:  cmpq    %rdx, %rcx
    je      2f
    movzbl  (%rdi,%rcx), %eax
    movzbl  (%rsi,%rcx), %r8d
    incq    %rcx
    subl    %r8d, %eax
    jz      1b
    ret
2:  xorl    %eax, %eax
    ret
