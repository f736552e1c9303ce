"""Enums and flags over an integer of a fixed width.

They are Python's own, except that a value that names no member traps.
"""

from enum import Enum, Flag
from typing import Any

from hv.lang.trap import Trap


class IntegerEnum(Enum):
    @classmethod
    def _missing_(cls, value: object) -> Any:
        raise Trap(f"{value} names no member of {cls.__name__}")

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


class IntegerFlag(Flag):
    @classmethod
    def _missing_(cls, value: object) -> Any:
        try:
            return super()._missing_(value)
        except ValueError:
            raise Trap(f"{value} has bits that {cls.__name__} has not") from None

    def __index__(self) -> int:
        number: int = self.value
        return number


class U8Flag(IntegerFlag):
    pass


class U16Flag(IntegerFlag):
    pass


class U32Flag(IntegerFlag):
    pass


class U64Flag(IntegerFlag):
    pass
