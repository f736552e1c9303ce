"""Arrays of a fixed length, whose indices are checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hv.lang.bits import Bits
from hv.lang.kinds import Embedded, Kind, copied, into, zero
from hv.lang.trap import Mismatch, Trap


class array:
    """`array(…)` without a type lists the elements of a constant table, or none; `array[T, N]` is the type."""

    def __init__(self, *items: Any) -> None:
        self.items: list[Any] = list(items)
        self.kind: Any = None

    def __class_getitem__(cls, arguments: tuple[Any, Any]) -> ArrayKind:
        return ArrayKind(*arguments)

    def _place(self, index: Any) -> int:
        place = int(index)
        if not 0 <= place < len(self.items):
            raise Trap(f"index {place} of an array of {len(self.items)}")
        return place

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return self.items[self._place(index)]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.items[self._place(index)] = into(self.kind, value)

    def __iter__(self) -> Iterator[Any]:
        for place in range(len(self.items)):
            yield copied(self.items[place])


class ArrayKind(Kind):
    def __init__(self, element: Any, length: Any) -> None:
        plain = isinstance(element, type) and getattr(element, "__shape__", None) in ("plain", "embedded")
        self.element = Embedded(element) if plain else element
        self.length = int(length)

    def __call__(self) -> array:
        made: array = self.zero()
        return made

    def zero(self) -> Any:
        made = array(*(zero(self.element) for _ in range(self.length)))
        made.kind = self.element
        return made

    def accept(self, value: Any) -> Any:
        """An array literal as an array of this type."""
        if not isinstance(value, array):
            raise Mismatch("an array is wanted")
        if value.kind is not None:
            return value
        made: array = self.zero()
        if value.items:
            if len(value.items) != self.length:
                raise Mismatch(f"{len(value.items)} elements for an array of {self.length}")
            made.items = [item if isinstance(item, Bits) else into(self.element, item) for item in value.items]
        return made
