"""Written conversions: checked, truncating, widening; bools."""

from hv.lang import i8, i16, i32, i64, truncate, u8, u16, u32, u64


def calc_narrow(x: u64) -> u8:
    return u8(x)


def calc_narrow_signed(x: i64) -> i16:
    return i16(x)


def calc_to_unsigned(x: i32) -> u32:
    return u32(x)


def calc_to_signed(x: u32) -> i32:
    return i32(x)


def calc_negative_to_wide(x: i8) -> u64:
    return u64(x)


def calc_widen(x: u8) -> u64:
    return u64(u32(u16(x))) + 1


def calc_widen_signed(x: i8) -> i64:
    return i64(i32(x)) * 3


def calc_unsigned_to_wider_signed(x: u32) -> i64:
    return i64(x) - 5


def calc_truncate(x: u64) -> u8:
    return truncate(u8, x)


def calc_truncate_to_signed(x: u64) -> i8:
    return truncate(i8, x)


def calc_truncate_signed(x: i64) -> u32:
    return truncate(u32, x)


def calc_truncate_widens(x: i8) -> u64:
    return truncate(u64, x)


def calc_same_width(x: u32) -> i32:
    return truncate(i32, x)


def calc_flag(a: u32, b: u32) -> u32:
    return u32(a < b) * 2 + u32(a == b)


def calc_bool(x: u64) -> bool:
    return bool(x)


def test_bool_to_every_width() -> u64:
    yes = True
    return u64(u8(yes)) + u64(u16(yes)) + u64(u32(not yes)) + u64(yes)


def test_converted_literals() -> u64:
    return u64(u8(255)) + u64(u16(0xFFFF)) + u64(truncate(u8, 0x1FF)) + u64(truncate(u32, -1))


def test_conversion_inside_arithmetic() -> u64:
    a: u32 = 0xFFFF_FFFF
    b: u32 = 2
    return u64(a * b) + u64(a) * u64(b)


def trap_too_big() -> u64:
    x: u32 = 256
    return u64(u8(x))


def trap_negative() -> u64:
    x: i32 = -1
    return u64(u32(x))
