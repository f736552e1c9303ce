"""Instructions of arm64 with several results."""

from hv.lang import asm, u64


@asm("cmp {a}, {b}", result="@eq", pure=True)
def same(a: u64, b: u64) -> bool: ...


@asm("subs {result0}, {a}, {b}", results="any @ls")
def difference(a: u64, b: u64) -> tuple[u64, bool]: ...


@asm("udiv {result0}, {a}, {b}\n\tmsub {result1}, {result0}, {b}, {a}", pure=True)
def divided(a: u64, b: u64) -> tuple[u64, u64]: ...


def bits(n: u64) -> u64:
    return u64(same(n, 5))


def differences(n: u64) -> u64:
    left, below = difference(n, 100)
    return left * 2 + u64(below)


def quotients(n: u64) -> u64:
    quotient, rest = divided(n, 7)
    return quotient * 16 + rest
