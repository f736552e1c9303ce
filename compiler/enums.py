"""Enums, flags and bit-fields: classes that are values over one integer."""

from __future__ import annotations

import ast

from compiler import typesystem as t
from compiler.annotations import Annotations
from compiler.program import Builtin, ClassDeclaration, Program

ENUM_BASES = {f"U{bits}Enum": (t.INTS[f"u{bits}"], False) for bits in (8, 16, 32, 64)} | {
    f"U{bits}Flag": (t.INTS[f"u{bits}"], True) for bits in (8, 16, 32, 64)
}


class Enums(Annotations):
    """Types of classes whose base is an enum, a flag or Bits: each once."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.enums: dict[ClassDeclaration, t.Type] = {}

    def enum_of(self, declaration: ClassDeclaration) -> t.Type | None:
        """The enum, flag or bit-field type of a class; None for other classes."""
        if declaration in self.enums:
            return self.enums[declaration]
        node, module = declaration.node, declaration.module
        for base in node.bases:
            if isinstance(base, ast.Name):
                found = self.program.look_up(module, base.id)
                if isinstance(found, Builtin) and found.name in ENUM_BASES:
                    self.enums[declaration] = self._enum(declaration, *ENUM_BASES[found.name])
                    return self.enums[declaration]
            elif isinstance(base, ast.Subscript) and isinstance(base.value, ast.Name):
                found = self.program.look_up(module, base.value.id)
                if isinstance(found, Builtin) and found.name == "Bits":
                    return self._bits(declaration, self.type_of(base.slice, module, {}))
        return None

    def _enum(self, declaration: ClassDeclaration, base: t.Int, flags: bool) -> t.EnumType:
        members: dict[str, int] = {}
        for item in declaration.node.body:
            match item:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    constant = self.constant_of(
                        value, declaration.module, {k: t.Constant(base, v) for k, v in members.items()}
                    )
                    if not base.low <= constant.value <= base.high:
                        raise declaration.module.refuse(
                            item, f"{name} = {constant.value} does not fit {base.key}: use a wider enum"
                        )
                    members[name] = constant.value
                case ast.Expr(value=ast.Constant(value=str())) | ast.Pass():
                    pass
                case _:
                    raise declaration.module.refuse(item, "an enum holds members only: NAME = number")
        return t.EnumType(declaration.c_name, declaration.name, base, members, flags)

    def _bits(self, declaration: ClassDeclaration, base: t.Int) -> t.BitsType:
        fields: dict[str, t.BitField] = {}
        made = self.enums[declaration] = t.BitsType(declaration.c_name, declaration.name, base, fields)
        module = declaration.module
        for item in declaration.node.body:
            match item:
                case ast.Assign(
                    targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="Field"), args=args, keywords=keywords)
                ) if 1 <= len(args) <= 2:
                    numbers = [self.constant_of(a, module, {}).value for a in args]
                    high, low = (numbers[0], numbers[-1])
                    if not 0 <= low <= high < base.bits:
                        raise module.refuse(
                            item, f"Field({high}, {low}) does not lie in {base.key}: the higher bit stands first"
                        )
                    of = next((self.type_of(k.value, module, {}) for k in keywords if k.arg == "of"), None)
                    fields[name] = t.BitField(high, low, of or (t.BOOL if len(args) == 1 else base))
                    inner = getattr(of, "base", of)
                    if isinstance(inner, t.Int) and (inner.signed or inner.bits < high - low + 1):
                        raise module.refuse(
                            item, f"a field of {high - low + 1} bits does not lie in {inner.key}: use a wider type"
                        )
                case ast.Expr(value=ast.Constant(value=str())) | ast.Pass():
                    pass
                case _:
                    raise module.refuse(item, "a Bits class holds fields only: NAME = Field(high, low) or Field(bit)")
        return made
