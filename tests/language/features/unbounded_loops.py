"""while, in functions that say why it ends."""

from hv.lang import Final, array, u32, u64, unbounded

values: Final[array[u32, 8]] = array(5, 3, 8, 1, 9, 2, 7, 4)


@unbounded("Euclid's algorithm: the remainder falls")
def divisor(a: u64, b: u64) -> u64:
    while b != 0:
        rest = a % b
        a = b
        b = rest
    return a


@unbounded("halves n")
def digits(n: u64) -> u32:
    count: u32 = 0
    while True:
        count += 1
        n //= 10
        if n == 0:
            break
    return count


@unbounded("the index grows")
def first_over(limit: u32) -> u32:
    i: u32 = 0
    while i < len(values) and values[i] <= limit:
        i += 1
    return i


@unbounded("each turn lets i grow")
def sum_of_odd(n: u32) -> u64:
    i: u32 = 0
    total: u64 = 0
    while i < n:
        i += 1
        if i % 2 == 0:
            continue
        if i > 100:
            break
        total += u64(i)
    return total


@unbounded("returns at the first square")
def square_root(n: u64) -> u64:
    root: u64 = 0
    while True:
        if root * root >= n:
            return root
        root += 1


def calc_divisor(a: u64, b: u64) -> u64:
    return divisor(a, b)


def calc_digits(n: u64) -> u32:
    return digits(n)


def calc_first_over(limit: u32) -> u32:
    return first_over(limit)


def calc_odd(n: u32) -> u64:
    return sum_of_odd(n % 1000)


def test_square_root() -> u64:
    return square_root(1000)
