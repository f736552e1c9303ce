"""Unsigned integers wrap at their own width, at every width."""

from hv.lang import Final, u8, u16, u32, u64, usize

TOP: Final = 0xFFFF_FFFF_FFFF_FFFF


def calc_add8(a: u8, b: u8) -> u8:
    return a + b


def calc_sub8(a: u8, b: u8) -> u8:
    return a - b


def calc_mul8(a: u8, b: u8) -> u8:
    return a * b


def calc_add16(a: u16, b: u16) -> u16:
    return a + b


def calc_mul16(a: u16, b: u16) -> u16:
    return a * b


def calc_mix32(a: u32, b: u32) -> u32:
    return (a + b) * (a - b) ^ (a | b) & ~a


def calc_mix64(a: u64, b: u64) -> u64:
    return (a + b) * (a - b) ^ (a | b) & ~a


def calc_divide(a: u32, b: u32) -> u32:
    return a // b


def calc_remainder(a: u64, b: u64) -> u64:
    return a % b


def calc_divide8(a: u8, b: u8) -> u8:
    return (a + 200) // b + a % b


def calc_shift8(a: u8, n: u8) -> u8:
    return a << n


def calc_shift16(a: u16, n: u32) -> u16:
    return (a << n) ^ (a >> n)


def calc_shift32(a: u32, n: u64) -> u32:
    return (a << n) | (a >> n)


def calc_shift64(a: u64, n: u8) -> u64:
    return (a << n) - (a >> n)


def calc_shifted_literal(n: u32) -> u64:
    mask: u64 = (1 << n) - 1
    return mask


def calc_shifted_literal_wraps(n: u32) -> u32:
    top: u32 = 3 << n
    return top


def calc_literal_meets_variable(a: u32, n: u32) -> u32:
    return a & ~(1 << n)


def calc_compare(a: u32, b: u32) -> u32:
    result: u32 = 0
    if a < b:
        result |= 1
    if a <= b:
        result |= 2
    if a > b:
        result |= 4
    if a >= b:
        result |= 8
    if a == b:
        result |= 16
    if a != b:
        result |= 32
    return result


def calc_compare_difference(a: u8, b: u8) -> bool:
    return a - b < 128


def calc_chained(a: u32, b: u32, c: u32) -> bool:
    return a <= b < c


def calc_augmented(a: u32, b: u32) -> u32:
    x = a
    x += b
    x -= 7
    x *= 3
    x ^= a
    x |= 1
    x &= 0xFFFF_0FFF
    x //= 2
    x %= 1000
    x <<= 3
    x >>= 1
    return x


def test_wrap_below_zero() -> u64:
    x: u8 = 0
    return u64(x - 1)


def test_negative_of_zero_minus() -> u64:
    x: u64 = 5
    return 0 - x


def test_largest() -> u64:
    x: u64 = TOP
    return x + 2


def test_inverted_small_widths() -> u64:
    a: u8 = 0x0F
    b: u16 = 0
    return u64(~a) * 0x1_0000 + u64(~b)


def test_other_name_of_u64() -> u64:
    n: usize = 3
    m: u64 = n
    return m - 4


def test_inferred_local_keeps_its_width() -> u64:
    x = u8(250)
    y = x + 10
    y = 3
    return u64(y - 4)


def test_literal_on_the_left() -> u64:
    x: u32 = 10
    return u64(3 - x) + u64(100 // x) + u64(105 % x) + u64(5 | x)


def trap_divide_by_zero() -> u64:
    zero: u64 = 0
    return 5 // zero


def trap_remainder_by_zero() -> u64:
    zero: u8 = 0
    return u64(u8(5) % zero)


def trap_shift_by_width() -> u64:
    n: u32 = 8
    return u64(u8(1) << n)
