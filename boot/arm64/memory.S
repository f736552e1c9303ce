/*
 * Moving and clearing memory, with general registers only. All of it must be mapped, and normal memory.
 * The compiler calls memcpy, memmove, memset and memcmp by itself, with their usual conventions.
 */

    .text
    .global memory_stubs
memory_stubs:

/* Eight cache blocks, from x5 on; x3 is the size of one. */
    .macro eight operation:vararg
    .rept   8
    \operation
    add     x5, x5, x3
    .endr
    .endm

    .macro zero_and_clean
    dc      zva, x5
    dc      cvac, x5
    .endm

/*
 * The whole blocks of a range. In: x2 bytes, x3 the size of a block, x5 the first. Out: x2 bytes left, x5 moved on.
 * The loops are unrolled, since guests' memory goes through them.
 */
    .macro blocks operation:vararg
    subs    x2, x2, x3, lsl #3
    b.lo    12f
11: eight \operation
    subs    x2, x2, x3, lsl #3
    b.hs    11b
12: add     x2, x2, x3, lsl #3
    b       14f
13: \operation
    add     x5, x5, x3
    sub     x2, x2, x3
14: cmp     x2, x3
    b.hs    13b
    .endm

/* void zero_bytes(void *to, u64 length): whole blocks by DC ZVA, whose size the CPU names. Changes x0 to x5. */
    .global zero_bytes
zero_bytes:
    mrs     x2, dczid_el0
    tbnz    x2, #4, zero_words          // the instruction is prohibited
    and     x2, x2, #0xf
    mov     x3, #4
    lsl     x3, x3, x2                  // bytes in a block
    cmp     x1, x3, lsl #1
    b.lo    zero_words
    sub     x4, x3, #1
    add     x5, x0, x4
    bic     x5, x5, x4                  // the first whole block
    add     x2, x0, x1                  // the end
    subs    x1, x5, x0
    b.eq    2f
1:  strb    wzr, [x0], #1               // up to it
    subs    x1, x1, #1
    b.ne    1b
2:  sub     x2, x2, x5                  // what is left
    blocks  dc zva, x5
    mov     x0, x5
    mov     x1, x2
zero_words:
    subs    x1, x1, #16
    b.lo    2f
1:  stp     xzr, xzr, [x0], #16
    subs    x1, x1, #16
    b.hs    1b
2:  adds    x1, x1, #16
    b.eq    4f
3:  strb    wzr, [x0], #1
    subs    x1, x1, #1
    b.ne    3b
4:  ret

/*
 * void clean_blocks(u64 start, u64 length, u64 block), void clean_and_invalidate_blocks(…), void
 * zero_and_clean_blocks(…): whole cache lines or DC ZVA's
 * blocks of `block` bytes. The caller completes them with a barrier. Changes x2 to x5.
 */
    .global clean_blocks
clean_blocks:
    mov     x5, x0
    mov     x3, x2
    mov     x2, x1
    blocks  dc cvac, x5
    ret

    .global clean_and_invalidate_blocks
clean_and_invalidate_blocks:
    mov     x5, x0
    mov     x3, x2
    mov     x2, x1
    blocks  dc civac, x5
    ret

    .global zero_and_clean_blocks
zero_and_clean_blocks:
    mov     x5, x0
    mov     x3, x2
    mov     x2, x1
    blocks  zero_and_clean
    ret

/* void *memcpy(void *to, const void *from, u64 length): the ranges do not overlap. Changes x1 to x11. */
    .global memcpy
    .global copy_memory                 // its name in Python (hv/arm64/cpu.py)
memcpy:
copy_memory:
    mov     x3, x0
    subs    x2, x2, #64
    b.lo    2f
1:  ldp     x4, x5, [x1, #16]
    ldp     x6, x7, [x1, #32]
    ldp     x8, x9, [x1, #48]
    ldp     x10, x11, [x1], #64
    stp     x4, x5, [x3, #16]
    stp     x6, x7, [x3, #32]
    stp     x8, x9, [x3, #48]
    stp     x10, x11, [x3], #64
    subs    x2, x2, #64
    b.hs    1b
2:  tbz     x2, #5, 3f                  // of the length, the low six bits still count
    ldp     x4, x5, [x1], #16
    ldp     x6, x7, [x1], #16
    stp     x4, x5, [x3], #16
    stp     x6, x7, [x3], #16
3:  tbz     x2, #4, 4f
    ldp     x4, x5, [x1], #16
    stp     x4, x5, [x3], #16
4:  tbz     x2, #3, 5f
    ldr     x4, [x1], #8
    str     x4, [x3], #8
5:  tbz     x2, #2, 6f
    ldr     w4, [x1], #4
    str     w4, [x3], #4
6:  tbz     x2, #1, 7f
    ldrh    w4, [x1], #2
    strh    w4, [x3], #2
7:  tbz     x2, #0, 8f
    ldrb    w4, [x1]
    strb    w4, [x3]
8:  ret

/* void *memmove(void *to, const void *from, u64 length). Changes x2 to x11. */
    .global memmove
memmove:
    sub     x3, x0, x1
    cmp     x3, x2
    b.hs    memcpy                      // the copy runs upwards ahead of what it overwrites
    add     x1, x1, x2
    add     x3, x0, x2
    subs    x2, x2, #16
    b.lo    2f
1:  ldp     x4, x5, [x1, #-16]!
    stp     x4, x5, [x3, #-16]!
    subs    x2, x2, #16
    b.hs    1b
2:  adds    x2, x2, #16
    b.eq    4f
3:  ldrb    w4, [x1, #-1]!
    strb    w4, [x3, #-1]!
    subs    x2, x2, #1
    b.ne    3b
4:  ret

/* void *memset(void *to, int byte, u64 length). Changes x1 to x5. */
    .global memset
memset:
    mov     x3, x0
    and     x1, x1, #0xff
    mov     x4, #0x0101010101010101
    mul     x1, x1, x4
    subs    x2, x2, #16
    b.lo    2f
1:  stp     x1, x1, [x3], #16
    subs    x2, x2, #16
    b.hs    1b
2:  tbz     x2, #3, 3f                  // what is left are the low four bits
    str     x1, [x3], #8
3:  tbz     x2, #2, 4f
    str     w1, [x3], #4
4:  tbz     x2, #1, 5f
    strh    w1, [x3], #2
5:  tbz     x2, #0, 6f
    strb    w1, [x3]
6:  ret

/* int memcmp(const void *a, const void *b, u64 length). Changes x0 to x4. */
    .global memcmp
memcmp:
    cbz     x2, 2f
1:  ldrb    w3, [x0], #1
    ldrb    w4, [x1], #1
    cmp     w3, w4
    b.ne    3f
    subs    x2, x2, #1
    b.ne    1b
2:  mov     w0, wzr
    ret
3:  sub     w0, w3, w4
    ret

    .global memory_stubs_end
memory_stubs_end:
