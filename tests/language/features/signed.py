"""Signed integers trap on overflow; division truncates towards zero."""

from hv.lang import Final, i8, i16, i32, i64, u8, u32, u64

LOWEST: Final = -0x8000_0000_0000_0000


def calc_add8(a: i8, b: i8) -> i8:
    return a + b


def calc_sub16(a: i16, b: i16) -> i16:
    return a - b


def calc_mul16(a: i16, b: i16) -> i16:
    return a * b


def calc_mul8(a: i8, b: i8) -> i8:
    return a * b


def calc_add32(a: i32, b: i32) -> i32:
    return a + b


def calc_mul32(a: i32, b: i32) -> i32:
    return a * b


def calc_sub64(a: i64, b: i64) -> i64:
    return a - b


def calc_divide(a: i32, b: i32) -> i32:
    return a // b


def calc_remainder(a: i32, b: i32) -> i32:
    return a % b


def calc_divide8(a: i8, b: i8) -> i8:
    return a // b


def calc_remainder8(a: i8, b: i8) -> i8:
    return a % b


def calc_divide64(a: i64, b: i64) -> i64:
    return a // b + a % b


def calc_negate(a: i32) -> i32:
    return -a


def calc_negate8(a: i8) -> i8:
    return -a


def calc_invert(a: i16) -> i16:
    return ~a


def calc_bits(a: i32, b: i32) -> i32:
    return (a & b) ^ (a | ~b)


def calc_shift_right(a: i32, n: u8) -> i32:
    return a >> n


def calc_shift_right8(a: i8, n: u8) -> i8:
    return a >> n


def calc_shift_left(a: i32, n: u8) -> i32:
    return a << n


def calc_compare(a: i64, b: i64) -> i32:
    if a < b:
        return -1
    return 1 if a > b else 0


def calc_shift_by_signed(a: u32, n: i32) -> u32:
    return a >> n


def test_truncating_constants() -> i64:
    return (-7 // 2) * 1000 + (-7 % 2) * 100 + (7 // -2) * 10 + 7 % -2


def test_truncating_variables() -> i64:
    a: i64 = -7
    b: i64 = 2
    return (a // b) * 1000 + (a % b) * 100 + (-a // -b) * 10 + -a % -b


def test_lowest() -> i64:
    x: i64 = LOWEST
    return x + 1


def test_minus_one_is_all_bits() -> u64:
    x: i32 = -1
    return u64(x & 0xFF)


def trap_lowest_divided_by_minus_one() -> i64:
    x: i64 = LOWEST
    y: i64 = -1
    return x // y


def trap_lowest_remainder_minus_one() -> i64:
    x: i64 = LOWEST
    y: i64 = -1
    return x % y


def trap_minus_lowest() -> i64:
    x: i8 = -128
    return i64(-x)


def trap_negative_shift() -> u64:
    n: i32 = -1
    return u64(u8(1) << n)


def trap_sum() -> i64:
    x: i32 = 0x7FFF_FFFF
    return i64(x + i32(u32(1)))
