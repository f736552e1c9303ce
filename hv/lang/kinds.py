"""Types as run-time values: what an annotation stands for, what storage of it starts as, and what may be stored.

A type is an integer class, `bool`, `str`, an enum, a `Bits` class, a class of the program, or one of the descriptions
here.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, ClassVar

from hv.lang.bits import Bits
from hv.lang.enums import zero_member
from hv.lang.errno import Errno
from hv.lang.ints import Integer, Weak, u8, u32, u64
from hv.lang.trap import Mismatch

Environment = dict[str, Any]


class Kind:
    """A type that is no Python class."""

    def zero(self) -> Any:
        return None

    def accept(self, value: Any) -> Any:
        return value

    def __or__(self, other: None) -> Nullable:
        return Nullable(self)


class Nullable(Kind):
    """`T | None`."""

    def __init__(self, of: Any) -> None:
        self.of = of

    def accept(self, value: Any) -> Any:
        return None if value is None else into(self.of, value)


class Embedded(Kind):
    """`Embedded[T]`: an object that lies inside its owner and is never replaced."""

    def __init__(self, of: Any) -> None:
        self.of = of

    def __class_getitem__(cls, of: Any) -> Embedded:
        return cls(of)

    def zero(self) -> Any:
        return self.of()

    def accept(self, value: Any) -> Any:
        raise Mismatch("what lies inside its owner cannot be replaced")


class Const(Kind):
    """`Const[R]`: a generic parameter's value, which takes no room."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __class_getitem__(cls, value: Any) -> Const:
        return cls(value)

    def zero(self) -> Any:
        return self.value

    def accept(self, value: Any) -> Any:
        raise Mismatch("a Const field is given by the type")


class Signature(Kind):
    """`Callable[[u32], None]`."""

    def __init__(self, parameters: list[Any], result: Any) -> None:
        self.parameters = parameters
        self.result = result

    def accept(self, value: Any) -> Any:
        if not callable(value):
            raise Mismatch("a function is wanted")
        return value


class _Sized:
    """`Long[T]`, `Aligned[T]`: a T, of which `compat` says what 32-bit callers store."""

    compat: ClassVar[Any] = None

    def __class_getitem__(cls, of: Any) -> Any:
        return of


class Long(_Sized):
    compat = u32


class Aligned(_Sized):
    pass


class TupleKind(Kind):
    """`tuple[u32, bool]`."""

    def __init__(self, parts: tuple[Any, ...]) -> None:
        self.parts = parts

    def zero(self) -> Any:
        return tuple(zero(part) for part in self.parts)

    def accept(self, value: Any) -> Any:
        if not isinstance(value, tuple) or len(value) != len(self.parts):
            raise Mismatch(f"a tuple of {len(self.parts)} is wanted")
        return tuple(into(part, item) for part, item in zip(self.parts, value, strict=True))


class TupleWord:
    def __class_getitem__(cls, parts: tuple[Any, ...]) -> TupleKind:
        return TupleKind(parts)


class CallableWord:
    def __class_getitem__(cls, arguments: tuple[list[Any], Any]) -> Signature:
        return Signature(*arguments)


class Message(str):
    """An f-string, rendered; to code that takes a message apart it is one piece of text."""

    count = u32(1)

    def literal(self, index: int) -> str:
        return ""

    def kind(self, index: int) -> Any:
        return u8(2)

    def width(self, index: int) -> Any:
        return u8(0)

    def flags(self, index: int) -> Any:
        return u8(0)

    def value(self, index: int) -> Any:
        return u64(0)

    def text(self, index: int) -> str:
        return str(self)


class TypeVar:
    def __init__(self, name: str, *, bound: Any = None) -> None:
        self.name = name
        self.bound = bound


class Annotation:
    """An annotation of the program, evaluated when it is first needed, and anew for each copy of a generic."""

    def __init__(self, evaluate: Callable[[Environment], Any], generic: bool) -> None:
        self._evaluate = evaluate
        self._generic = generic
        self._known: Any = self  # stands for "not evaluated"

    def resolve(self, environment: Environment | None = None) -> Any:
        if self._generic:
            return self._evaluate(environment or {})
        if self._known is self:
            self._known = self._evaluate({})
        return self._known


def nullable(of: Any) -> Nullable:
    return Nullable(of)


def into(kind: Any, value: Any) -> Any:
    """The value where `kind` is asked for: literals take its width, records that are copied are copied."""
    if isinstance(kind, Kind):
        return kind.accept(value)
    if not isinstance(kind, type):
        return copied(value)
    if issubclass(kind, Integer):
        return kind.accept(value)
    if kind is Message:
        return value if isinstance(value, Message) else Message(value)
    if kind is bool or issubclass(kind, (str, Enum, Bits, Errno)):
        if not isinstance(value, kind):
            raise Mismatch(f"{type(value).__name__} where {kind.__name__} is wanted")
        return copied(value)
    if value is None:
        raise Mismatch(f"None where {kind.__name__} is wanted")
    if isinstance(value, (int, str, Enum, Weak)):
        raise Mismatch(f"{type(value).__name__} where {kind.__name__} is wanted")
    return value


def copied(value: Any) -> Any:
    return value.copy() if isinstance(value, Bits) else value


def zero(kind: Any) -> Any:
    """What storage of a type starts as."""
    if isinstance(kind, Kind):
        return kind.zero()
    if not isinstance(kind, type):
        return None
    if issubclass(kind, Enum):
        return zero_member(kind)
    if issubclass(kind, (Integer, bool, str, Bits)):
        return kind(0) if kind is not str else ""
    make = getattr(kind, "__stored__", None)
    return None if make is None else make()
