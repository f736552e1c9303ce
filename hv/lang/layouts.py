"""Layouts that the outside world sees: unions, whose fields lie over each other, and the forms for 32-bit callers.

Interpreted, a union holds what was stored last; reading another field takes that field from the bytes of the first,
and from then on holds it. An object or array that was taken out of a union must not be used once another field was.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hv.lang.arrays import ArrayKind, array
from hv.lang.bits import Bits
from hv.lang.classes import Object
from hv.lang.ints import Integer, u32
from hv.lang.kinds import Embedded, into
from hv.lang.pointers import layout_of, stored
from hv.lang.trap import Mismatch


def encoded(kind: Any, value: Any) -> bytes:
    """A value's bytes, as a little-endian machine stores it."""
    if isinstance(kind, ArrayKind):
        return b"".join(encoded(kind.element, item) for item in value.items)
    if isinstance(value, Object):
        laid = layout_of(type(value))
        made = bytearray(laid.size)
        for name, (offset, size) in laid.fields.items():
            made[offset : offset + size] = encoded(type(value).field_kinds()[name], getattr(value, name))
        return bytes(made)
    number = value.number if isinstance(value, Bits) else int(value)
    size = stored(kind)[0]
    return (number % (1 << 8 * size)).to_bytes(size, "little")


def decoded(kind: Any, data: bytes, into_value: Any) -> Any:
    """The value that bytes are; arrays and objects are filled where they stand."""
    if isinstance(kind, ArrayKind):
        size = stored(kind.element)[0]
        for i in range(kind.length):
            into_value.items[i] = decoded(kind.element, data[i * size : (i + 1) * size], into_value.items[i])
        return into_value
    if isinstance(into_value, Object):
        kinds = type(into_value).field_kinds()
        for name, (offset, size) in layout_of(type(into_value)).fields.items():
            part = decoded(kinds[name], data[offset : offset + size], getattr(into_value, name))
            object.__setattr__(into_value, name, part)
        return into_value
    base = kind.base if issubclass(kind, Bits) else kind
    number = int.from_bytes(data, "little", signed=getattr(base, "signed", False))
    return kind(number)


class Union(Object):
    """What a class marked @union becomes."""

    __union__ = True

    def __getattribute__(self, name: str) -> Any:
        if name in type(self).field_kinds():
            _hold(self, name)
        return super().__getattribute__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).field_kinds():
            _hold(self, name)
        super().__setattr__(name, value)


def _hold(union: Union, name: str) -> None:
    state = vars(union)
    held = state.setdefault("__held__", name)
    if held == name:
        return
    kinds = type(union).field_kinds()
    before = bytearray(state.get("__bytes__", bytes(layout_of(type(union)).size)))
    data = encoded(kinds[held], state[held])
    before[: len(data)] = data
    state["__bytes__"] = bytes(before)
    state[name] = decoded(kinds[name], bytes(before[: stored(kinds[name])[0]]), state[name])
    state["__held__"] = name


def union(cls: type[Object]) -> type[Object]:
    return type(cls.__name__, (cls, Union), {"__env__": cls.__env__, "__fields__": cls.__fields__})


class Compat:
    """`Compat[T]`: the form of an ABI's class for 32-bit callers."""

    known: ClassVar[dict[Any, type[Object]]] = {}

    def __class_getitem__(cls, of: type[Object]) -> type[Object]:
        return cls.form_of(of)

    @classmethod
    def form_of(cls, of: type[Object]) -> type[Object]:
        if of not in cls.known:
            made = type(f"Compat[{of.__name__}]", (Union if of.__union__ else Object,), {"__env__": of.__env__})
            made.__compat__ = of  # type: ignore[attr-defined]
            made.__shape__ = "plain" if of.__shape__ == "plain" else "embedded"  # type: ignore[attr-defined]
            made.__packed__ = of.__packed__  # type: ignore[attr-defined]
            made.__aligned__ = frozenset(n for n, word in of.__sized__.items() if word == "Aligned")  # type: ignore[attr-defined]
            made.__kinds__ = {  # type: ignore[attr-defined]
                name: _compat(kind, of.__sized__.get(name)) for name, kind in of.field_kinds().items()
            }
            cls.known[of] = made
        return cls.known[of]


def _compat(kind: Any, word: str | None) -> Any:
    if isinstance(kind, ArrayKind):
        made = ArrayKind(u32, kind.length)
        made.element = _compat(kind.element, word)
        return made
    if isinstance(kind, Embedded):
        return Embedded(Compat.form_of(kind.of))
    if isinstance(kind, type) and issubclass(kind, Object):
        return Compat.form_of(kind)
    return u32 if word == "Long" else kind


def widen(small: Any, into_object: Any) -> None:
    if type(small).__compat__ is not type(into_object):
        raise Mismatch("widen(x, into) takes a Compat[T] and a T")
    _copy(small, into_object)


def narrow(wide: Any, into_object: Any) -> bool:
    """Whether every value fits; nothing is written when one does not."""
    if type(into_object).__compat__ is not type(wide):
        raise Mismatch("narrow(x, into) takes a T and a Compat[T]")
    if not _fits(wide, into_object):
        return False
    _copy(wide, into_object)
    return True


def _parts(a: Any, b: Any) -> list[tuple[Any, Any, Any, Any]]:
    """Each pair of values of the two forms, with the kind of the second and what stores it."""
    if isinstance(a, array):
        return [(x, b.items[i], b.kind, (b, i)) for i, x in enumerate(a.items)]
    return [(getattr(a, name), getattr(b, name), kind, (b, name)) for name, kind in type(b).field_kinds().items()]


def _fits(a: Any, b: Any) -> bool:
    for x, y, kind, _ in _parts(a, b):
        if isinstance(x, (array, Object)):
            if not _fits(x, y):
                return False
        elif isinstance(kind, type) and issubclass(kind, Integer) and int(x) > kind.high:
            return False
    return True


def _copy(a: Any, b: Any) -> None:
    if isinstance(a, Union):
        size = min(layout_of(type(a)).size, layout_of(type(b)).size)
        name = vars(a).get("__held__", next(iter(type(a).field_kinds())))
        data = encoded(type(a).field_kinds()[name], getattr(a, name))[:size]
        other = vars(b)[name]
        data = data.ljust(layout_of(type(b)).size, b"\0")
        vars(b)["__held__"] = name
        vars(b)["__bytes__"] = data
        vars(b)[name] = decoded(type(b).field_kinds()[name], data, other)
        return
    for x, y, kind, (owner, place) in _parts(a, b):
        if isinstance(x, (array, Object)):
            _copy(x, y)
            continue
        made = x.copy() if isinstance(x, Bits) else into(kind, kind(int(x)))
        if isinstance(owner, array):
            owner.items[place] = made
        else:
            object.__setattr__(owner, place, made)
