"""Python's own words where the language means something narrower, and what loops and text need."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import Any

from hv.lang.arrays import array
from hv.lang.ints import Integer, i32, u8, u32, u64
from hv.lang.trap import Mismatch, Trap


def encoded(text: str) -> bytes:
    """Text as the bytes that it is. Half a character, cut off by a slice, survives as surrogates."""
    return text.encode("utf-8", "surrogateescape")


def decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def length(x: Any) -> Any:
    """`len(x)`: of text in bytes and u64, of arrays a literal."""
    if isinstance(x, str):
        return u64(len(encoded(x)))
    return len(x) if isinstance(x, array) else x.__len__()


def item(owner: Any, index: Any) -> Any:
    """`owner[index]` where it is read."""
    if not isinstance(owner, str):
        return owner[index]
    data = encoded(owner)
    place = int(index)
    if not 0 <= place < len(data):
        raise Trap(f"index {place} of {len(data)} bytes of text")
    return decoded(data[place : place + 1])


def part(text: str, start: Any = None, stop: Any = None) -> str:
    """`text[start:stop]`, with checked bounds."""
    data = encoded(text)
    first = 0 if start is None else int(start)
    last = len(data) if stop is None else int(stop)
    if not 0 <= first <= last <= len(data):
        raise Trap(f"[{first}:{last}] of {len(data)} bytes of text")
    return decoded(data[first:last])


def number_of(character: str) -> Any:
    """`ord(c)`."""
    data = encoded(character)
    if len(data) != 1:
        raise Mismatch("ord() takes one character")
    return u8(data[0])


def truth(x: Any) -> bool:
    """`bool(x)`."""
    return int(x) != 0


def numbered(x: Any) -> Iterator[tuple[Any, Any]]:
    """`enumerate(x)`."""
    for index, element in builtins.enumerate(x):
        yield u32(index), element


def counted(*bounds: Any) -> Iterator[Any]:
    """`range(…)`: of the type of its bounds, u32 (i32 downward) when they are literals."""
    start, stop = (0, bounds[0]) if len(bounds) == 1 else bounds[:2]
    step = int(bounds[2]) if len(bounds) > 2 else 1
    kind: Any = i32 if step < 0 else u32
    for bound in (stop, start):
        if isinstance(bound, Integer):
            kind = type(bound)
            break
    for number in builtins.range(int(start), int(stop), step):
        yield kind(number)


def bounded(*bounds: Any) -> Iterator[Any]:
    """`bounded(n, MAX)` and `bounded(start, stop, MAX)`: traps when it would go round more than MAX times."""
    start, stop = (0, bounds[0]) if len(bounds) == 2 else bounds[:2]
    kind: Any = next((type(bound) for bound in (stop, start) if isinstance(bound, Integer)), u32)
    if int(stop) - int(start) > int(bounds[-1]):
        raise Trap(f"a loop is over its bound of {bounds[-1]}")
    return _count(kind, int(start), int(stop))


def preemptible(steps: Any, progress: Any) -> Iterator[Any]:
    """The loader puts `runtime.Preemptible` in its place, which reaches the field that the range starts at."""
    raise Mismatch("preemptible(…) belongs behind `for … in`")


def _count(kind: Any, start: int, stop: int) -> Iterator[Any]:
    for number in builtins.range(start, stop):
        yield kind(number)
