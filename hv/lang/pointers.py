"""Sizes, and pointers as far as a program can be interpreted with them: at objects, and at arrays, element by element.

An object or array gets an address when it is first asked for; nothing else lies there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from hv.lang.arrays import ArrayKind, array
from hv.lang.atomics import Atomic
from hv.lang.bits import Bits
from hv.lang.classes import Object
from hv.lang.enums import base_of
from hv.lang.ints import Integer, u8, u64
from hv.lang.kinds import Const, Embedded, Nullable, into
from hv.lang.trap import Mismatch, Trap
from hv.lang.words import decoded

POINTER = (8, 8)
INTERFACE = (16, 8)
TEXT = (16, 8)


def size_of(kind: Any) -> Any:
    """In bytes, as the C compiler lays the type out."""
    if isinstance(kind, type) and issubclass(kind, Object):
        return u64(_layout(kind)[0])
    return u64(stored(kind)[0])


def stored(kind: Any) -> tuple[int, int]:
    """Size and alignment of a field of the type."""
    if isinstance(kind, ArrayKind):
        size, alignment = stored(kind.element)
        return size * kind.length, alignment
    if isinstance(kind, Embedded):
        return _layout(kind.of)
    if isinstance(kind, Nullable):
        return INTERFACE if getattr(kind.of, "__shape__", "") == "protocol" else POINTER
    if isinstance(kind, type):
        if issubclass(kind, Atomic):
            return stored(kind.of)
        if issubclass(kind, Enum):
            return stored(base_of(kind))
        if issubclass(kind, Bits):
            return stored(kind.base)
        if issubclass(kind, Integer):
            return kind.bits // 8, kind.bits // 8
        if kind is bool:
            return 1, 1
        if issubclass(kind, str):
            return TEXT
        if issubclass(kind, Object) and kind.__shape__ != "plain":
            return INTERFACE if kind.__shape__ == "protocol" else _layout(kind)
    return POINTER


@dataclass
class Layout:
    size: int
    alignment: int
    fields: dict[str, tuple[int, int]]  # offset and size


def layout_of(kind: type[Object]) -> Layout:
    end, widest = 0, max(1, kind.__alignment__)
    fields: dict[str, tuple[int, int]] = {}
    for name, field in kind.field_kinds().items():
        if isinstance(field, Const):
            continue
        size, alignment = stored(field)
        if kind.__packed__:
            alignment = 1
        elif kind.__compat__ is not None and name not in kind.__aligned__:
            alignment = min(alignment, 4)
        start = 0 if kind.__union__ else -(-end // alignment) * alignment
        fields[name] = (start, size)
        end = max(end, start + size)
        widest = max(widest, alignment)
    return Layout(max(1, -(-end // widest) * widest), widest, fields)


def _layout(kind: type[Object]) -> tuple[int, int]:
    found = layout_of(kind)
    return found.size, found.alignment


class _Memory:
    """Where things lie. They keep their address, and are kept, as long as the process lives."""

    end = 0x10_0000
    areas: ClassVar[list[tuple[int, int, Any]]] = []

    @classmethod
    def place(cls, thing: Any, size: int) -> int:
        for start, _, other in cls.areas:
            if other is thing:
                return start
        start = -(-cls.end // 64) * 64
        cls.end = start + max(size, 1)
        cls.areas.append((start, cls.end, thing))
        return start

    @classmethod
    def at(cls, address: int) -> tuple[Any, int]:
        for start, end, thing in cls.areas:
            if start <= address < end:
                return thing, address - start
        raise Trap(f"nothing lies at {address:#x}")


def address_of(x: Any) -> Any:
    if isinstance(x, array):
        return u64(_Memory.place(x, stored(x.kind)[0] * len(x)))
    if isinstance(x, Object):
        return u64(_Memory.place(x, _layout(type(x))[0]))
    raise Mismatch(f"{type(x).__name__} has no address")


def str_at(address: Any, length: Any) -> str:
    if int(length) == 0:
        return ""
    found, offset = _Memory.at(int(address))
    if not isinstance(found, array) or found.kind is not u8 or offset + int(length) > len(found):
        raise Trap("text lies in an array of bytes")
    return decoded(bytes(int(byte) for byte in found.items[offset : offset + int(length)]))


def symbol(name: str) -> Any:
    raise Mismatch(f"an interpreted program has no linker symbol {name}")


class ptr:
    of: ClassVar[Any]

    def __class_getitem__(cls, of: Any) -> type[ptr]:
        return type("ptr", (ptr,), {"of": of})

    def __init__(self, address: Any) -> None:
        self.address = into(u64, address)

    def _element(self, index: Any) -> tuple[array, int]:
        size = stored(self.of)[0]
        found, offset = _Memory.at(int(self.address) + int(index) * size)
        if not isinstance(found, array) or stored(found.kind)[0] != size or offset % size:
            raise Trap("an interpreted pointer reaches whole elements of an array")
        return found, offset // size

    def __getitem__(self, index: Any) -> Any:
        found, place = self._element(index)
        return found[place]

    def __setitem__(self, index: Any, value: Any) -> None:
        found, place = self._element(index)
        found[place] = into(self.of, value)

    def __add__(self, n: Any) -> ptr:
        return type(self)(u64(int(self.address) + int(n) * stored(self.of)[0]))

    def ref(self) -> Any:
        found, offset = _Memory.at(int(self.address))
        if offset:
            raise Trap("no object begins here")
        return found
