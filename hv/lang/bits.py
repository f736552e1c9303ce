"""Bit-fields over one integer. A value of a `Bits` class is copied wherever it is assigned or passed."""

from __future__ import annotations

from enum import Enum
from typing import Any, ClassVar, Self

from hv.lang.enums import base_of
from hv.lang.ints import Integer
from hv.lang.trap import Mismatch, Trap


class Field:
    """`Field(bit)` is a bool, `Field(high, low)` an integer of the class's base, `of=` an enum or integer type."""

    def __init__(self, high: int, low: int | None = None, *, of: Any = None) -> None:
        self.high = high
        self.low = high if low is None else low
        self.of = of
        self.name = ""
        self.truth = low is None and of is None

    def __set_name__(self, owner: type[Bits], name: str) -> None:
        self.name = name

    @property
    def mask(self) -> int:
        return (1 << (self.high - self.low + 1)) - 1

    def part(self, bits: Bits) -> int:
        return (bits.number >> self.low) & self.mask

    def __get__(self, bits: Bits | None, owner: type[Bits]) -> Any:
        if bits is None:
            return self
        if self.truth:
            return self.part(bits) != 0
        return (self.of or owner.base)(self.part(bits))

    def __set__(self, bits: Bits, value: Any) -> None:
        number = self._number(bits, value)
        if not 0 <= number <= self.mask:
            raise Trap(f"{number} does not fit the field `{self.name}`")
        bits.number = bits.number & ~(self.mask << self.low) | number << self.low

    def _number(self, bits: Bits, value: Any) -> int:
        if self.truth or self.of is bool:
            if not isinstance(value, bool):
                raise Mismatch(f"`{self.name}` is a bool")
            return int(value)
        if isinstance(self.of, type) and issubclass(self.of, Enum):
            if not isinstance(value, self.of):
                raise Mismatch(f"`{self.name}` is a {self.of.__name__}")
            return int(base_of(self.of)(value))
        return int((self.of or bits.base).accept(value))


class _Over:
    """`Bits[u64]` as a base."""

    def __init__(self, base: type[Integer]) -> None:
        self.base = base

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (Bits,)


class Bits:
    base: ClassVar[Any]
    __orig_bases__: ClassVar[tuple[Any, ...]]
    __hash__ = None  # type: ignore[assignment]

    def __class_getitem__(cls, base: type[Integer]) -> _Over:
        return _Over(base)

    def __init_subclass__(cls) -> None:
        cls.base = next(b.base for b in cls.__orig_bases__ if isinstance(b, _Over))

    def __init__(self, raw: Any = 0, /, **fields: Any) -> None:
        self.number = int(self.base.accept(raw))
        for name, value in fields.items():
            if name not in self.fields():
                raise Mismatch(f"{type(self).__name__} has no field `{name}`")
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("number", "raw") and name not in self.fields():
            raise Mismatch(f"{type(self).__name__} has no field `{name}`")
        super().__setattr__(name, value)

    @classmethod
    def fields(cls) -> dict[str, Field]:
        return {name: field for name, field in vars(cls).items() if isinstance(field, Field)}

    @property
    def raw(self) -> Any:
        return self.base(self.number)

    @raw.setter
    def raw(self, value: Any) -> None:
        self.number = int(self.base.accept(value))

    def copy(self) -> Self:
        return type(self)(self.number)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            raise Mismatch(f"{type(self).__name__} is compared with {type(other).__name__}")
        assert isinstance(other, Bits)
        return self.number == other.number

    def __format__(self, spec: str) -> str:
        parts = ", ".join(f"{name}={field.part(self):#x}" for name, field in self.fields().items())
        return f"{self.number:#x} ({parts})" if parts else f"{self.number:#x}"
