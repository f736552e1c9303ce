"""min, max, leading_zeros, trailing_zeros, popcount, byteswap."""

from hv.lang import byteswap, i32, leading_zeros, popcount, trailing_zeros, u8, u16, u32, u64


def calc_min(a: u32, b: u32) -> u32:
    return min(a, b)


def calc_max_signed(a: i32, b: i32) -> i32:
    return max(a, b)


def calc_min_with_literal(a: u8) -> u8:
    return min(a, 100) + max(5, a)


def calc_leading(x: u64) -> u32:
    return 64 if x == 0 else leading_zeros(x)


def calc_leading8(x: u8) -> u32:
    return 8 if x == 0 else leading_zeros(x)


def calc_leading16(x: u16) -> u32:
    return 16 if x == 0 else leading_zeros(x)


def calc_trailing(x: u32) -> u32:
    return 32 if x == 0 else trailing_zeros(x)


def calc_trailing64(x: u64) -> u32:
    return 64 if x == 0 else trailing_zeros(x)


def calc_trailing8(x: u8) -> u32:
    return 8 if x == 0 else trailing_zeros(x)


def calc_popcount(x: u64) -> u32:
    return popcount(x)


def calc_popcount8(x: u8) -> u32:
    return popcount(x) + popcount(~x)


def calc_swap64(x: u64) -> u64:
    return byteswap(x)


def calc_swap32(x: u32) -> u32:
    return byteswap(x)


def calc_swap16(x: u16) -> u16:
    return byteswap(x)


def calc_swap_twice(x: u64) -> bool:
    return byteswap(byteswap(x)) == x


def test_of_constants() -> u64:
    return u64(leading_zeros(u16(1))) * 100 + u64(trailing_zeros(u64(0x80))) + u64(popcount(u8(255)))


def test_order_of_evaluation() -> u64:
    n: u32 = 3
    return u64(min(max(n, 10), 20 - n))
