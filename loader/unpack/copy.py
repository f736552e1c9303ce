"""Copies of bytes in memory, in ascending order of addresses: who copies answers for both ranges."""

from hv.lang import Final, ptr, u8, u64, unbounded

WORD: Final[u64] = 8


@unbounded("ends with the bytes")
def copy_forward(to: u64, source: u64, count: u64) -> None:
    """As one byte after the other: where `to` lies less than `count` behind `source`, what lies between repeats. Below
    `source` it may lie anywhere."""
    left = count
    at = to
    behind = source
    if to - source >= WORD:  # also for any `to` below
        while left >= WORD:
            ptr[u64](at)[0] = ptr[u64](behind)[0]
            at += WORD
            behind += WORD
            left -= WORD
    while left != 0:
        ptr[u8](at)[0] = ptr[u8](behind)[0]
        at += 1
        behind += 1
        left -= 1


@unbounded("ends with the bytes")
def clear(start: u64, count: u64) -> None:
    left = count
    at = start
    while left >= WORD:
        ptr[u64](at)[0] = 0
        at += WORD
        left -= WORD
    while left != 0:
        ptr[u8](at)[0] = 0
        at += 1
        left -= 1
