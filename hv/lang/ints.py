"""Integers of a width, kinds of them, and integers that have no width yet.

An `Integer` is a Python int that knows its type: arithmetic wraps (unsigned) or traps (signed) at the type's width,
and two types meet only after a conversion. A plain int stands for a literal: it takes the type of what it meets. A
`Weak` stands for what literals become before a type is known, as in `1 << n`: it is computed when the context gives a
type.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from enum import Enum
from typing import Any, ClassVar

from hv.lang.trap import Mismatch, Trap

Operation = Callable[[Any, Any], Any]


def divide(a: Any, b: Any) -> Any:
    """`a // b` as the language has it: truncating, also of two literals."""
    return a // b if isinstance(a, (Integer, Weak)) or isinstance(b, (Integer, Weak)) else _quotient(a, b)


def remainder(a: Any, b: Any) -> Any:
    """`a % b`: has the sign of `a`."""
    return a % b if isinstance(a, (Integer, Weak)) or isinstance(b, (Integer, Weak)) else a - b * _quotient(a, b)


def _quotient(a: int, b: int) -> int:
    if b == 0:
        raise Trap("division by zero")
    magnitude = abs(a) // abs(b)
    return magnitude if (a < 0) == (b < 0) else -magnitude


class Weak:
    """An integer expression that takes its width from its context."""

    __slots__ = ("_compute",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        """`compute(kind)` gives the value in a type, or as a plain int for None."""
        self._compute = compute

    @classmethod
    def of(cls, number: int) -> Weak:
        return cls(lambda kind: number if kind is None else kind(number))

    def adapt(self, kind: type[Integer] | None) -> Any:
        return self._compute(kind)

    def __index__(self) -> int:
        return int(self.adapt(None))

    __int__ = __index__

    def __bool__(self) -> bool:
        raise Mismatch("an integer is no truth value: compare it")

    def __repr__(self) -> str:
        return str(self.adapt(None))

    def __format__(self, spec: str) -> str:
        return format(int(self), spec)

    def _with(self, operation: Operation, other: Any, swapped: bool = False) -> Any:
        if isinstance(other, Integer):
            kind: Any = other.base
            return operation(other, self.adapt(kind)) if swapped else operation(self.adapt(kind), other)
        if type(other) is not int and not isinstance(other, Weak):
            return NotImplemented

        def compute(kind: Any) -> Any:
            mine, its = self.adapt(kind), other.adapt(kind) if isinstance(other, Weak) else other
            return operation(its, mine) if swapped else operation(mine, its)

        return Weak(compute)

    def _compare(self, operation: Operation, other: Any) -> Any:
        if isinstance(other, Integer):
            return operation(self.adapt(other.base), other)
        if isinstance(other, (int, Weak)) and not isinstance(other, bool):
            return operation(int(self), int(other))
        return NotImplemented

    def __add__(self, other: Any) -> Any:
        return self._with(operator.add, other)

    def __radd__(self, other: Any) -> Any:
        return self._with(operator.add, other, swapped=True)

    def __sub__(self, other: Any) -> Any:
        return self._with(operator.sub, other)

    def __rsub__(self, other: Any) -> Any:
        return self._with(operator.sub, other, swapped=True)

    def __mul__(self, other: Any) -> Any:
        return self._with(operator.mul, other)

    def __rmul__(self, other: Any) -> Any:
        return self._with(operator.mul, other, swapped=True)

    def __floordiv__(self, other: Any) -> Any:
        return self._with(divide, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._with(divide, other, swapped=True)

    def __mod__(self, other: Any) -> Any:
        return self._with(remainder, other)

    def __rmod__(self, other: Any) -> Any:
        return self._with(remainder, other, swapped=True)

    def __and__(self, other: Any) -> Any:
        return self._with(operator.and_, other)

    def __rand__(self, other: Any) -> Any:
        return self._with(operator.and_, other, swapped=True)

    def __or__(self, other: Any) -> Any:
        return self._with(operator.or_, other)

    def __ror__(self, other: Any) -> Any:
        return self._with(operator.or_, other, swapped=True)

    def __xor__(self, other: Any) -> Any:
        return self._with(operator.xor, other)

    def __rxor__(self, other: Any) -> Any:
        return self._with(operator.xor, other, swapped=True)

    def __lshift__(self, count: Any) -> Weak:
        return Weak(lambda kind: self.adapt(kind) << int(count))

    def __rshift__(self, count: Any) -> Weak:
        return Weak(lambda kind: self.adapt(kind) >> int(count))

    def __rlshift__(self, other: int) -> Any:
        return Weak(lambda kind: (other if kind is None else kind(other)) << int(self))

    def __rrshift__(self, other: int) -> Any:
        return Weak(lambda kind: (other if kind is None else kind(other)) >> int(self))

    def __neg__(self) -> Weak:
        return Weak(lambda kind: -self.adapt(kind))

    def __invert__(self) -> Weak:
        return Weak(lambda kind: ~self.adapt(kind))

    def __eq__(self, other: object) -> Any:
        return self._compare(operator.eq, other)

    def __ne__(self, other: object) -> Any:
        return self._compare(operator.ne, other)

    def __lt__(self, other: Any) -> Any:
        return self._compare(operator.lt, other)

    def __le__(self, other: Any) -> Any:
        return self._compare(operator.le, other)

    def __gt__(self, other: Any) -> Any:
        return self._compare(operator.gt, other)

    def __ge__(self, other: Any) -> Any:
        return self._compare(operator.ge, other)


class Integer(int):
    """Base of the integer types and kinds.

    `base` is the type that arithmetic gives: the type itself, or what a kind was made of.
    """

    bits: ClassVar[int]
    signed: ClassVar[bool]
    low: ClassVar[int]
    high: ClassVar[int]
    base: ClassVar[Any]

    def __new__(cls, value: Any) -> Any:
        """A checked conversion: from an integer, a bool, an enum member or flags."""
        if isinstance(value, Weak):
            value = value.adapt(cls.base)
        elif isinstance(value, Enum):
            value = value.value
        elif not isinstance(value, int):
            raise Mismatch(f"{type(value).__name__} is no number")
        if not cls.low <= value <= cls.high:
            raise Trap(f"{value} does not fit {cls.__name__}")
        return int.__new__(cls, value)

    @classmethod
    def accept(cls, value: Any) -> Any:
        """The value where this type is asked for: literals fit in, kinds pass for their base, nothing else converts."""
        if type(value) is cls:
            return value
        if type(value) is int or isinstance(value, Weak):
            if cls.base is not cls and type(value) is int:
                raise Mismatch(f"{value} where {cls.__name__} is wanted: write {cls.__name__}({value})")
            return cls(value)
        if isinstance(value, Integer) and value.base is cls:
            return int.__new__(cls, value)
        raise Mismatch(f"{type(value).__name__} where {cls.__name__} is wanted")

    @classmethod
    def wrapped(cls, number: int) -> Any:
        """The result of an operation: unsigned keeps the low bits, signed must fit."""
        if cls.signed:
            if not cls.low <= number <= cls.high:
                raise Trap(f"{number} overflows {cls.__name__}")
            return int.__new__(cls, number)
        return int.__new__(cls, number & cls.high)

    def _met(self, other: Any) -> int | None:
        """The other operand as a number, when it may meet this one."""
        if type(other) is int:
            if not self.low <= other <= self.high:
                raise Mismatch(f"{other} does not fit {self.base.__name__}")
            return other
        if isinstance(other, Weak):
            return int(other.adapt(self.base))
        if isinstance(other, Integer):
            mine, its = type(self), type(other)
            if self.base is other.base and (mine is its or mine is self.base or its is other.base):
                return int(other)
            raise Mismatch(f"{mine.__name__} and {its.__name__} in one operation")
        if isinstance(other, bool):
            raise Mismatch("bool in arithmetic: convert it")
        return None

    def _operate(self, operation: Callable[[int, int], int], other: Any, swapped: bool = False) -> Any:
        its = self._met(other)
        if its is None:
            return NotImplemented
        mine = int(self)
        return self.base.wrapped(operation(its, mine) if swapped else operation(mine, its))

    def _compare(self, operation: Callable[[int, int], bool], other: Any) -> Any:
        if type(other) is int:
            return operation(int(self), other)
        its = self._met(other)
        return NotImplemented if its is None else operation(int(self), its)

    def __add__(self, other: Any) -> Any:
        return self._operate(operator.add, other)

    def __radd__(self, other: Any) -> Any:
        return self._operate(operator.add, other, swapped=True)

    def __sub__(self, other: Any) -> Any:
        return self._operate(operator.sub, other)

    def __rsub__(self, other: Any) -> Any:
        return self._operate(operator.sub, other, swapped=True)

    def __mul__(self, other: Any) -> Any:
        return self._operate(operator.mul, other)

    def __rmul__(self, other: Any) -> Any:
        return self._operate(operator.mul, other, swapped=True)

    def __floordiv__(self, other: Any) -> Any:
        return self._operate(_quotient, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._operate(_quotient, other, swapped=True)

    def __mod__(self, other: Any) -> Any:
        return self._operate(self._remainder, other)

    def __rmod__(self, other: Any) -> Any:
        return self._operate(self._remainder, other, swapped=True)

    def _remainder(self, a: int, b: int) -> int:
        quotient = _quotient(a, b)
        self.base.wrapped(quotient)  # the lowest number % -1 overflows like its quotient
        return a - b * quotient

    def __and__(self, other: Any) -> Any:
        return self._operate(operator.and_, other)

    def __rand__(self, other: Any) -> Any:
        return self._operate(operator.and_, other, swapped=True)

    def __or__(self, other: Any) -> Any:
        return self._operate(operator.or_, other)

    def __ror__(self, other: Any) -> Any:
        return self._operate(operator.or_, other, swapped=True)

    def __xor__(self, other: Any) -> Any:
        return self._operate(operator.xor, other)

    def __rxor__(self, other: Any) -> Any:
        return self._operate(operator.xor, other, swapped=True)

    def _count(self, count: Any) -> int:
        if isinstance(count, bool) or not isinstance(count, (int, Weak)):
            raise Mismatch("a shift's count is an integer")
        if not 0 <= int(count) < self.bits:
            raise Trap(f"a shift by {count} of {self.base.__name__}")
        return int(count)

    def __lshift__(self, count: Any) -> Any:
        return truncate(self.base, int(self) << self._count(count))

    def __rshift__(self, count: Any) -> Any:
        return self.base.wrapped(int(self) >> self._count(count))

    def __rlshift__(self, other: Any) -> Any:
        return Weak(lambda kind: (other if kind is None else kind(other)) << int(self))

    def __rrshift__(self, other: Any) -> Any:
        return Weak(lambda kind: (other if kind is None else kind(other)) >> int(self))

    def __neg__(self) -> Any:
        if not self.signed:
            raise Mismatch(f"minus of {self.base.__name__}")
        return self.base.wrapped(-int(self))

    def __invert__(self) -> Any:
        return self.base.wrapped(~int(self))

    def __truediv__(self, other: Any) -> Any:
        raise Mismatch("`/` gives a float: write `//`")

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        raise Mismatch("`**` is not in the language")

    __hash__ = int.__hash__

    def __eq__(self, other: object) -> Any:
        return self._compare(operator.eq, other)

    def __ne__(self, other: object) -> Any:
        return self._compare(operator.ne, other)

    def __lt__(self, other: Any) -> Any:
        return self._compare(operator.lt, other)

    def __le__(self, other: Any) -> Any:
        return self._compare(operator.le, other)

    def __gt__(self, other: Any) -> Any:
        return self._compare(operator.gt, other)

    def __ge__(self, other: Any) -> Any:
        return self._compare(operator.ge, other)


def _integer(name: str, bits: int, signed: bool) -> Any:
    low = -(1 << (bits - 1)) if signed else 0
    high = (1 << (bits - signed)) - 1
    made: Any = type(name, (Integer,), {"bits": bits, "signed": signed, "low": low, "high": high})
    made.base = made
    return made


u8, u16, u32, u64 = (_integer(f"u{bits}", bits, False) for bits in (8, 16, 32, 64))
i8, i16, i32, i64 = (_integer(f"i{bits}", bits, True) for bits in (8, 16, 32, 64))
usize = u64


def NewType(name: str, base: Any) -> Any:
    """A kind: an integer type that is accepted for its base and mixes with no other kind."""
    if not (isinstance(base, type) and issubclass(base, Integer)):
        raise Mismatch("NewType names an integer type")
    members = {"bits": base.bits, "signed": base.signed, "low": base.low, "high": base.high, "base": base.base}
    return type(name, (Integer,), members)


def truncate(kind: Any, value: Any) -> Any:
    """The low bits of an integer, in another type."""
    if isinstance(value, bool) or not isinstance(value, (int, Weak)):
        raise Mismatch("truncate takes an integer type and an integer")
    low = int(value) & ((1 << kind.bits) - 1)
    return int.__new__(kind, low - (1 << kind.bits) if kind.signed and low > kind.high else low)


def _unsigned(x: Any) -> Any:
    if not isinstance(x, Integer) or x.signed:
        raise Mismatch("an unsigned integer of known width is wanted")
    return x


def leading_zeros(x: Any) -> Any:
    if _unsigned(x) == 0:
        raise Trap("leading_zeros of 0")
    return u32(x.bits - int(x).bit_length())


def trailing_zeros(x: Any) -> Any:
    if _unsigned(x) == 0:
        raise Trap("trailing_zeros of 0")
    return u32((int(x) & -int(x)).bit_length() - 1)


def popcount(x: Any) -> Any:
    return u32(int(_unsigned(x)).bit_count())


def byteswap(x: Any) -> Any:
    return _unsigned(x).base(int.from_bytes(int(x).to_bytes(x.bits // 8, "little"), "big"))


def smaller(a: Any, b: Any) -> Any:
    """`min(a, b)`."""
    return _extreme(a, b, operator.lt)


def greater(a: Any, b: Any) -> Any:
    """`max(a, b)`."""
    return _extreme(a, b, operator.gt)


def _extreme(a: Any, b: Any, better: Callable[[Any, Any], bool]) -> Any:
    if isinstance(a, Integer) and isinstance(b, Integer) and type(a) is not type(b):
        a, b = a.base(a), b.base(b)
    if isinstance(a, (int, Weak)) and isinstance(b, Integer) and not isinstance(a, Integer):
        a = b.base(a)
    if isinstance(b, (int, Weak)) and isinstance(a, Integer) and not isinstance(b, Integer):
        b = a.base(b)
    return a if better(a, b) else b
