"""Bounded loops."""

from hv.lang import Final, NewType, bounded, i32, i64, u8, u16, u32, u64

COUNT: Final = 7
STEP: Final[u64] = 3
Gfn = NewType("Gfn", u64)


def test_range_of_a_constant() -> u64:
    total: u64 = 0
    for i in range(COUNT):
        total = total * 10 + u64(i)
    return total


def test_range_with_start_and_step() -> u64:
    total: u64 = 0
    for i in range(2, 20, STEP):
        total = total * 100 + u64(i)
    return total


def test_range_downward() -> u64:
    total: u64 = 0
    for i in range(5, -1, -2):
        total = total * 10 + u64(i)
    return total


def test_range_downward_to_zero() -> i64:
    total: i64 = 0
    for i in range(3, -3, -1):
        total = total * 10 + i64(i)
    return total


def test_empty_range() -> u64:
    total: u64 = 0
    for _ in range(5, 5):
        total += 1
    for _ in range(5, 2):
        total += 1
    return total


def test_literals_are_u32() -> u64:
    total: u64 = 0
    for i in range(3):
        total += u64(i - 1)
    return total


def test_break_and_continue() -> u64:
    total: u64 = 0
    for i in range(100):
        if i % 2 == 0:
            continue
        if i > 8:
            break
        total = total * 10 + u64(i)
    return total


def test_nested() -> u64:
    total: u64 = 0
    for i in range(4):
        for j in range(4):
            if j > i:
                break
            if (i + j) % 3 == 0:
                continue
            total = total * 10 + u64(i * 4 + j)
    return total


def test_return_inside() -> u64:
    for i in range(10):
        for j in range(10):
            if i * j == 42:
                return u64(i) * 10 + u64(j)
    return 0


def test_variable_after_the_loop() -> u64:
    last: u32 = 0
    for i in range(9):
        last = i
    return u64(last)


def test_counter_is_the_loops_own() -> u64:
    total: u64 = 0
    n: u32 = 3
    for i in bounded(n, 10):
        n += 1
        total = total * 10 + u64(i) + u64(n)
    return total


def calc_bounded(n: u32) -> u64:
    total: u64 = 0
    for i in bounded(n, 20):
        total += u64(i) * 2 + 1
    return total


def calc_bounded_signed(n: i32) -> i64:
    total: i64 = 0
    for i in bounded(n, 20):
        total += i64(i) + 1
    return total


def calc_bounded_narrow(n: u8) -> u64:
    total: u64 = 0
    for i in bounded(n, 255):
        total += u64(i)
    return total


def calc_bounded_from(start: u16, stop: u16) -> u64:
    total: u64 = 0
    for i in bounded(start, stop, 100):
        total = total * 3 + u64(i)
    return total


def calc_bounded_from_top(n: u64) -> u64:
    total: u64 = 0
    for i in bounded(n, 0xFFFF_FFFF_FFFF_FFFF, 5):
        total += i
    return total


def calc_bounded_kind(n: u64) -> u64:
    total: u64 = 0
    for gfn in bounded(Gfn(n), 8):
        total += gfn + 1
    return total


def trap_over_the_bound() -> u64:
    n: u64 = 21
    total: u64 = 0
    for _ in bounded(n, 20):
        total += 1
    return total


def test_assigned_loop_variable_does_not_skip() -> u64:
    total: u64 = 0
    for i in range(4):
        i += 2
        total = total * 10 + u64(i)
    return total
