"""Layouts that the outside world sees: one declaration, and where its fields lie for 64-bit and for 32-bit callers.

A class marked `@abi(header, type)` is laid out by C's rules. For callers of 64 bits, on x86-64 and arm64, that is the
class itself; `Compat[T]` is what the i386 ABI makes of the same declaration (System V i386 psABI, 2.1): a `Long` has
32 bits, and an integer of 64 bits is aligned to 4 bytes unless it is `Aligned`.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compiler import typesystem as t

if TYPE_CHECKING:
    from compiler.declare import Declarations
    from compiler.instances import ClassInstance

LONG = 4  # bytes of an unsigned long or a pointer for 32-bit callers


@dataclass(frozen=True)
class Place:
    """Where a field lies, in bytes."""

    offset: int
    size: int
    alignment: int


@dataclass(frozen=True)
class Layout:
    size: int
    alignment: int
    fields: dict[str, Place]


def is_plain(kind: t.Type, packed: bool = False) -> bool:
    """Whether every bit pattern is a value of the type, and none of it is a reference."""
    match kind:
        case t.Int() | t.Kind() | t.BitsType():
            return True
        case t.Array():
            return is_plain(kind.element, packed)
        case t.Embedded():
            return is_plain(kind.of, packed)
        case t.ClassType():
            inner = kind.instance
            laid = not packed or inner.info.packed
            return laid and all(is_plain(f, packed) for f in inner.fields.values() if not isinstance(f, t.ConstType))
    return False


def layout(instance: ClassInstance) -> Layout:
    """Where a class's fields lie."""
    end = 0
    widest = 1
    fields: dict[str, Place] = {}
    for name, kind in instance.fields.items():
        if isinstance(kind, t.ConstType):
            continue
        size, alignment = stored(kind)
        if instance.info.packed:
            alignment = 1
        elif instance.info.compat and name not in instance.info.aligned_fields:
            alignment = min(alignment, LONG)
        start = 0 if instance.info.union else rounded(end, alignment)
        fields[name] = Place(start, size, alignment)
        end = max(end, start + size)
        widest = max(widest, alignment)
    if instance.info.alignment is not None:
        value = instance.declarations.constant_of(instance.info.alignment, instance.info.module, {})
        widest = max(widest, value.value)
    return Layout(max(1, rounded(end, widest)), widest, fields)


def stored(kind: t.Type) -> tuple[int, int]:
    """Size and alignment of what a field of the type holds."""
    match kind:
        case t.Int():
            return kind.bits // 8, kind.bits // 8
        case t.Kind() | t.BitsType() | t.EnumType():
            return stored(kind.base)
        case t.Array():
            size, alignment = stored(kind.element)
            return size * kind.length, alignment
        case t.Embedded():
            return stored_class(kind.of.instance)
        case t.ClassType() if kind.by_value:
            return stored_class(kind.instance)
        case t.Atomic():
            return stored(kind.of)
        case t.ProtocolType():
            return 16, 8
        case t.Nullable() if isinstance(kind.of, t.ProtocolType):
            return 16, 8
    if kind is t.BOOL:
        return 1, 1
    return (16, 8) if kind is t.STR else (8, 8)


def stored_class(instance: ClassInstance) -> tuple[int, int]:
    found = layout(instance)
    return found.size, found.alignment


def rounded(n: int, alignment: int) -> int:
    return -(-n // alignment) * alignment


# The 32-bit form of a declaration


def word_of(node: ast.expr) -> str | None:
    """`Long` or `Aligned` of a field's annotation."""
    match node:
        case ast.Subscript(value=ast.Name(id="Long" | "Aligned" as word)):
            return word
        case ast.Subscript(value=ast.Name(id="array"), slice=ast.Tuple(elts=[element, _])):
            return word_of(element)
    return None


def compat_type(declarations: Declarations, kind: t.Type, word: str | None) -> t.Type:
    """What a 32-bit caller stores for a field."""
    match kind:
        case t.Array():
            return t.intern(t.Array(compat_type(declarations, kind.element, word), kind.length))  # type: ignore[no-any-return]
        case t.Embedded():
            return t.intern(t.Embedded(declarations.compat_of(kind.of.instance).type))  # type: ignore[no-any-return]
        case t.ClassType():
            return declarations.compat_of(kind.instance).type  # type: ignore[no-any-return]
    return t.U32 if word == "Long" else kind


def conversion(native: ClassInstance, compat: ClassInstance, widening: bool) -> tuple[list[str], list[str]]:
    """C that returns 0 when a value does not fit, for narrowing; and C that copies `*from` to `*to`, field by field."""
    checks: list[str] = []
    copies: list[str] = []

    def visit(wide: t.Type, small: t.Type, path: str, depth: int, around: str) -> None:
        if isinstance(wide, t.Array) and isinstance(small, t.Array):
            index = f"i{depth}"
            loop = f"for (u64 {index} = 0; {index} < {wide.length}; {index}++) "
            visit(wide.element, small.element, f"{path}[{index}]", depth + 1, around + loop)
            return
        inner = wide.of if isinstance(wide, t.Embedded) else wide
        other = small.of if isinstance(small, t.Embedded) else small
        if isinstance(inner, t.ClassType) and isinstance(other, t.ClassType):
            if inner.instance.info.union:
                size = min(layout(inner.instance).size, layout(other.instance).size)
                copies.append(f"{around}__builtin_memset(&to->{path}, 0, sizeof(to->{path}));")
                copies.append(f"{around}__builtin_memcpy(&to->{path}, &from->{path}, {size});")
                return
            for name, kind in inner.instance.fields.items():
                visit(kind, other.instance.fields[name], f"{path}.{c_name(name)}", depth, around)
            return
        if stored(inner) != stored(other) and not widening:
            checks.append(f"{around}if (from->{path} > 0xffffffffUL) return 0;")
        copies.append(f"{around}to->{path} = ({other.c if not widening else inner.c})from->{path};")

    for name, kind in native.fields.items():
        visit(kind, compat.fields[name], c_name(name), 0, "")
    return checks, copies


def c_name(name: str) -> str:
    from compiler.lowering import c_field

    return c_field(name)


def described(instance: ClassInstance) -> dict[str, Any]:
    """A class for readers outside: its header and type, and both layouts."""
    info = instance.info
    found: dict[str, Any] = {"class": f"{info.module.name}.{instance.shown}"}
    if info.abi is not None:
        found["header"], found["type"] = info.abi
    shapes = {"native": instance}
    if is_plain(instance.type):
        shapes["compat"] = instance.declarations.compat_of(instance)
    for name, shape in shapes.items():
        laid = layout(shape)
        found[name] = {
            "size": laid.size,
            "fields": [
                {"name": n, "type": shape.fields[n].shown, "offset": p.offset, "size": p.size}
                for n, p in laid.fields.items()
            ],
        }
    return found
