"""The types of the restricted Python, and the C type that each becomes.

A `Type` is compared by identity or by `key`; instances are made through the functions and tables here, which intern
them.
`Type.c` is the C (and Cython) text for a name, parameter or result of the type. What a field holds may differ: a class
that lies inside its owner is an `Embedded`, and an array is storage only.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compiler.instances import ClassInstance


class Type:
    c: str
    key: str  # unique, fit for a part of a C identifier

    def __repr__(self) -> str:
        return self.shown

    @property
    def shown(self) -> str:
        """The type as a person writes it."""
        return self.key


@dataclass(frozen=True, repr=False)
class Int(Type):
    key: str
    bits: int
    signed: bool

    @property
    def c(self) -> str:  # type: ignore[override]
        return self.key

    @property
    def low(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << (self.bits - (1 if self.signed else 0))) - 1


@dataclass(frozen=True, repr=False)
class Simple(Type):
    """A type without parts."""

    key: str
    c: str


INTS = {f"{sign}{bits}": Int(f"{sign}{bits}", bits, sign == "i") for sign in "ui" for bits in (8, 16, 32, 64)}
U8, U16, U32, U64 = (INTS[f"u{bits}"] for bits in (8, 16, 32, 64))
I32, I64 = INTS["i32"], INTS["i64"]
INTS["usize"] = U64

BOOL = Simple("bool", "boolean")
VOID = Simple("None", "void")
NEVER = Simple("Never", "void")
LITERAL = Simple("literal integer", "long")
NULL = Simple("null", "void*")
STR = Simple("str", "text")
CHAR = Simple("character", "u8")
MESSAGE = Simple("Message", "message")
ERRNO = Simple("Errno", "i32")


@dataclass(frozen=True, repr=False, eq=False)
class Kind(Type):
    """A distinct integer made by NewType."""

    key: str
    base: Int

    @property
    def c(self) -> str:  # type: ignore[override]
        return self.base.c

    @property
    def shown(self) -> str:
        return self.key.rsplit("_", 1)[-1]


@dataclass(frozen=True, repr=False, eq=False)
class EnumType(Type):
    key: str
    name: str
    base: Int
    members: dict[str, int]
    flags: bool

    @property
    def c(self) -> str:  # type: ignore[override]
        return self.base.c

    @property
    def shown(self) -> str:
        return self.name


@dataclass(frozen=True)
class BitField:
    high: int
    low: int
    type: Type

    @property
    def mask(self) -> int:
        return (1 << (self.high - self.low + 1)) - 1


@dataclass(frozen=True, repr=False, eq=False)
class BitsType(Type):
    key: str
    name: str
    base: Int
    fields: dict[str, BitField]

    @property
    def c(self) -> str:  # type: ignore[override]
        return self.base.c

    @property
    def shown(self) -> str:
        return self.name


@dataclass(frozen=True, repr=False, eq=False)
class ClassType(Type):
    """A reference to an object of a class, or the record itself when the class is a @value or @guard."""

    instance: ClassInstance

    @property
    def key(self) -> str:  # type: ignore[override]
        return self.instance.key

    @property
    def by_value(self) -> bool:
        return self.instance.info.by_value

    @property
    def c(self) -> str:  # type: ignore[override]
        return self.instance.c if self.by_value else self.instance.c + "*"

    @property
    def shown(self) -> str:
        return self.instance.shown


@dataclass(frozen=True, repr=False, eq=False)
class ProtocolType(Type):
    """An interface reference: the object and the constant table of its functions."""

    instance: ClassInstance

    @property
    def key(self) -> str:  # type: ignore[override]
        return self.instance.key

    @property
    def c(self) -> str:  # type: ignore[override]
        return self.instance.c

    @property
    def shown(self) -> str:
        return self.instance.shown


@dataclass(frozen=True, repr=False, eq=False)
class Nullable(Type):
    of: Type

    @property
    def key(self) -> str:  # type: ignore[override]
        return "opt_" + self.of.key

    @property
    def c(self) -> str:  # type: ignore[override]
        return self.of.c

    @property
    def shown(self) -> str:
        return f"{self.of.shown} | None"


@dataclass(frozen=True, repr=False, eq=False)
class Embedded(Type):
    """Storage of a class inside its owner; only as a field or an element."""

    of: ClassType

    @property
    def key(self) -> str:  # type: ignore[override]
        return "emb_" + self.of.key

    @property
    def c(self) -> str:  # type: ignore[override]
        return self.of.instance.c

    @property
    def shown(self) -> str:
        return f"Embedded[{self.of.shown}]"


@dataclass(frozen=True, repr=False, eq=False)
class Array(Type):
    element: Type
    length: int

    @property
    def key(self) -> str:  # type: ignore[override]
        return f"array_{self.element.key}_{self.length}"

    @property
    def c(self) -> str:  # type: ignore[override]
        return self.element.c + "*"

    @property
    def shown(self) -> str:
        return f"array[{self.element.shown}, {self.length}]"


@dataclass(frozen=True, repr=False, eq=False)
class Tuple(Type):
    """Several values that a function returns together."""

    parts: tuple[Type, ...]

    @property
    def key(self) -> str:  # type: ignore[override]
        return "tuple_" + "_".join(part.key for part in self.parts)

    @property
    def c(self) -> str:  # type: ignore[override]
        return self.key

    @property
    def depth(self) -> int:
        """How many tuples lie in each other here."""
        return 1 + max((part.depth for part in self.parts if isinstance(part, Tuple)), default=0)

    @property
    def shown(self) -> str:
        return f"tuple[{', '.join(part.shown for part in self.parts)}]"


@dataclass(frozen=True, repr=False, eq=False)
class Pointer(Type):
    of: Type

    @property
    def key(self) -> str:  # type: ignore[override]
        return "ptr_" + self.of.key

    @property
    def target_c(self) -> str:
        return self.of.instance.c if isinstance(self.of, ClassType) else self.of.c

    @property
    def c(self) -> str:  # type: ignore[override]
        return self.target_c + "*"

    @property
    def shown(self) -> str:
        return f"ptr[{self.of.shown}]"


@dataclass(frozen=True, repr=False, eq=False)
class Atomic(Type):
    of: Type

    @property
    def key(self) -> str:  # type: ignore[override]
        return "atomic_" + self.of.key

    @property
    def c(self) -> str:  # type: ignore[override]
        return self.of.c

    @property
    def shown(self) -> str:
        return f"Atomic[{self.of.shown}]"


@dataclass(frozen=True, repr=False, eq=False)
class Function(Type):
    parameters: tuple[Type, ...]
    result: Type

    @property
    def key(self) -> str:  # type: ignore[override]
        return "fn_" + "_".join([p.key for p in self.parameters] + ["to", self.result.key])

    @property
    def c(self) -> str:  # type: ignore[override]
        return self.key

    @property
    def shown(self) -> str:
        return f"Callable[[{', '.join(p.shown for p in self.parameters)}], {self.result.shown}]"


@dataclass(frozen=True, repr=False, eq=False)
class RegisterType(Type):
    """A system register, known by its name at build time."""

    name: str
    c = "u64"

    @property
    def key(self) -> str:  # type: ignore[override]
        return "sysreg_" + self.name


@dataclass(frozen=True, repr=False, eq=False)
class ConstType(Type):
    """A field that is a generic parameter's value: no storage."""

    value: Any  # a Constant, or a ClassType whose static methods are wanted
    c = "void"

    @property
    def key(self) -> str:  # type: ignore[override]
        return "const"


@dataclass(frozen=True)
class Constant:
    """A value known at build time. `value` is an int, bool or str."""

    type: Type
    value: Any

    @property
    def key(self) -> str:
        if isinstance(self.type, EnumType):
            for name, number in self.type.members.items():
                if number == self.value:
                    return name
        return str(self.value).replace("-", "m")


_interned: dict[tuple[type, str], Type] = {}


def intern(made: Any) -> Any:
    """The one instance of a structural type."""
    return _interned.setdefault((type(made), made.key), made)


def reset() -> None:
    """Forgets the interned types: a new program is compiled."""
    _interned.clear()


def base_of(t: Type) -> Type:
    """The integer below a kind."""
    return t.base if isinstance(t, Kind) else t


def is_integer(t: Type) -> bool:
    return isinstance(t, (Int, Kind)) or t is LITERAL


@dataclass
class Value:
    """An expression: its Cython text, its type, and what is known of it.

    cost: 0 a constant or local, 1 reads memory, 2 calls. place: the text names an object's storage, not a reference.
    path: the dotted name that narrowing knows it by. packed: its address may be no multiple of its size. origin: the
    objects that it refers to; home: those that it lies in (both as compiler/escape.py has them).
    """

    text: str
    type: Type
    const: Any = None
    cost: int = 0
    place: bool = False
    path: str | None = None
    packed: bool = False
    origin: frozenset[Any] = frozenset()
    home: frozenset[Any] = frozenset()
    node: ast.AST | None = field(default=None, repr=False)


def names_of(names: Iterable[str]) -> str:
    """Names as a message lists them."""
    return ", ".join(names) or "nothing"
