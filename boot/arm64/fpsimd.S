/* The guest's floating-point and SIMD registers, to and from hv/arm64/fpsimd.py's FpSimd: void save_fpsimd(address), load_fpsimd(address). */
#include "asm_offsets.h"

    .macro every_pair instruction
    \instruction q0, q1, [x0, #FpSimd_v + 32 * 0]
    \instruction q2, q3, [x0, #FpSimd_v + 32 * 1]
    \instruction q4, q5, [x0, #FpSimd_v + 32 * 2]
    \instruction q6, q7, [x0, #FpSimd_v + 32 * 3]
    \instruction q8, q9, [x0, #FpSimd_v + 32 * 4]
    \instruction q10, q11, [x0, #FpSimd_v + 32 * 5]
    \instruction q12, q13, [x0, #FpSimd_v + 32 * 6]
    \instruction q14, q15, [x0, #FpSimd_v + 32 * 7]
    \instruction q16, q17, [x0, #FpSimd_v + 32 * 8]
    \instruction q18, q19, [x0, #FpSimd_v + 32 * 9]
    \instruction q20, q21, [x0, #FpSimd_v + 32 * 10]
    \instruction q22, q23, [x0, #FpSimd_v + 32 * 11]
    \instruction q24, q25, [x0, #FpSimd_v + 32 * 12]
    \instruction q26, q27, [x0, #FpSimd_v + 32 * 13]
    \instruction q28, q29, [x0, #FpSimd_v + 32 * 14]
    \instruction q30, q31, [x0, #FpSimd_v + 32 * 15]
    .endm

    .text
    .global save_fpsimd
save_fpsimd:
    every_pair stp
    mrs     x1, fpcr
    mrs     x2, fpsr
    str     x1, [x0, #FpSimd_control]
    str     x2, [x0, #FpSimd_control + 8]
    ret

    .global load_fpsimd
load_fpsimd:
    every_pair ldp
    ldr     x1, [x0, #FpSimd_control]
    ldr     x2, [x0, #FpSimd_control + 8]
    msr     fpcr, x1
    msr     fpsr, x2
    ret
