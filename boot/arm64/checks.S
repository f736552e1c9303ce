/*
 * Where the checks go that the C compiler puts into the code, when they find something: void handler(void), which never
 * returns (clang, -fsanitize-minimal-runtime). Each is an instruction that faults, and holds the number of the check
 * (hv/common/kernel/checks.py). What failed is the call, whose place is in the link register.
 */

    .macro check name number ending=_minimal_abort
    .global __ubsan_handle_\name\ending
__ubsan_handle_\name\ending:
    brk     #0x5500 + \number
    .endm

    .section .text.checks, "ax"
    .global checks_start
checks_start:
    check   add_overflow, 0
    check   builtin_unreachable, 1, _minimal
    check   divrem_overflow, 3
    check   load_invalid_value, 10
    check   missing_return, 11, _minimal
    check   mul_overflow, 12
    check   negate_overflow, 13
    check   out_of_bounds, 18
    check   pointer_overflow, 19
    check   shift_out_of_bounds, 20
    check   sub_overflow, 21
    .global checks_end
checks_end:
