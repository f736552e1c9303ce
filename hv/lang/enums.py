"""Enums and flags over an integer of a fixed width: Python's own, except that a value that names no member traps."""

from enum import STRICT, Enum, EnumMeta, Flag
from typing import Any

from hv.lang.ints import Integer, Weak, u8, u16, u32, u64
from hv.lang.trap import Trap


class _Meta(EnumMeta):
    def __call__(cls, value: Any, *rest: Any, **named: Any) -> Any:
        return super().__call__(int(value) if isinstance(value, (Integer, Weak)) else value, *rest, **named)


class IntegerEnum(Enum, metaclass=_Meta):
    @classmethod
    def _missing_(cls, value: object) -> Any:
        raise Trap(f"{value} names no member of {cls.__name__}")

    def __index__(self) -> int:
        number: int = self.value
        return number


class IntegerFlag(Flag, metaclass=_Meta, boundary=STRICT):
    @classmethod
    def _missing_(cls, value: object) -> Any:
        try:
            return super()._missing_(value)
        except ValueError:
            raise Trap(f"{value} has bits that {cls.__name__} has not") from None

    def __index__(self) -> int:
        number: int = self.value
        return number


class U8Enum(IntegerEnum):
    pass


class U16Enum(IntegerEnum):
    pass


class U32Enum(IntegerEnum):
    pass


class U64Enum(IntegerEnum):
    pass


class U8Flag(IntegerFlag):
    pass


class U16Flag(IntegerFlag):
    pass


class U32Flag(IntegerFlag):
    pass


class U64Flag(IntegerFlag):
    pass


_BASES: dict[type[Enum], Any] = {
    U8Enum: u8, U16Enum: u16, U32Enum: u32, U64Enum: u64, U8Flag: u8, U16Flag: u16, U32Flag: u32, U64Flag: u64,
}  # fmt: skip
_PHANTOMS: dict[type[Enum], Enum] = {}


def base_of(kind: type[Enum]) -> Any:
    """The integer type that a member is stored as."""
    return next(_BASES[base] for base in kind.__mro__ if base in _BASES)


def zero_member(kind: type[Enum]) -> Enum:
    """What storage of an enum starts as: the member 0, or where there is none a value that equals no member."""
    try:
        return kind(0)
    except Trap:
        if kind not in _PHANTOMS:
            phantom = object.__new__(kind)
            phantom._value_ = 0
            phantom._name_ = "?"
            _PHANTOMS[kind] = phantom
        return _PHANTOMS[kind]
