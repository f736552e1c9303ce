"""What a debugger has to know of a program that DWARF does not say: the Python types of fields and variables, the names
of enums' members and the fields of bit-fields. Written as debug.json beside symbols.json.

A type is described by a text: `enum KEY` and `bits KEY` point into the tables of this file; `text` is a str, `kind
NAME` a NewType; an array has its element's description. What has no description prints as C has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compiler import typesystem as t
from compiler.lowering import c_field

if TYPE_CHECKING:
    from compiler.header import Header
    from compiler.whole import Compiler


def described(kind: t.Type) -> str | None:
    """The description of a field's or variable's type; None for what C says as well."""
    while isinstance(kind, (t.Array, t.Nullable, t.Atomic)):
        kind = kind.element if isinstance(kind, t.Array) else kind.of
    match kind:
        case t.EnumType():
            return f"enum {kind.key}"
        case t.BitsType():
            return f"bits {kind.key}"
        case t.Kind():
            return f"kind {kind.shown}"
    return "text" if kind is t.STR else None


def table(compiler: Compiler, header: Header) -> dict[str, Any]:
    enums: dict[str, Any] = {}
    bits: dict[str, Any] = {}
    for kind in compiler.declarations.enums.values():
        if isinstance(kind, t.EnumType):
            enums[kind.key] = {"name": kind.name, "flags": kind.flags, "members": kind.members}
        elif isinstance(kind, t.BitsType):
            fields = {name: [f.high, f.low, described(f.type)] for name, f in kind.fields.items()}
            bits[kind.key] = {"name": kind.name, "fields": fields}
    return {
        "enums": enums,
        "bits": bits,
        "structures": {
            i.c: {
                "name": f"{i.info.module.name}.{i.shown}",
                "fields": {c_field(name): d for name, kind in i.fields.items() if (d := described(kind)) is not None},
            }
            for i in header.instances()
        },
        "variables": {g.c: d for g in header.variables() if (d := described(g.type)) is not None},
    }
