/*
 * What the compiler calls by itself, with the usual conventions. With the MMU off all memory is device memory, where an
 * access that is not aligned faults, so these go byte by byte.
 */
    .section .text.memset, "ax"
    .global memset
memset:
    add     x2, x0, x2
    mov     x3, x0
1:  cmp     x3, x2
    b.hs    2f
    strb    w1, [x3], #1
    b       1b
2:  ret

    .section .text.memcpy, "ax"
    .global memcpy
memcpy:
    mov     x3, x0
1:  cbz     x2, 2f
    ldrb    w4, [x1], #1
    strb    w4, [x3], #1
    sub     x2, x2, #1
    b       1b
2:  ret
