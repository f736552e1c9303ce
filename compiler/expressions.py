"""Lowering expressions: literals, names, attributes and elements. Each becomes a Cython text with an exact type."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from compiler import escape
from compiler import typesystem as t
from compiler.instances import FunctionInstance
from compiler.lowering import Lowering, c_field, path_of
from compiler.program import (
    Builtin,
    ClassDeclaration,
    Folded,
    FunctionDeclaration,
    ModuleReference,
    VariableDeclaration,
)
from compiler.typesystem import Value, names_of
from compiler.whole_types import Global, RegistryGlobal
from hv.lang.errno import NUMBERS


class Evaluated(ast.expr):
    """An operand that has its value already. `source` is what was written."""

    _fields = ("source",)
    source: ast.expr
    value: Value


class Expressions(Lowering):
    def expression(self, node: ast.expr, want: t.Type | None, storing: bool = False) -> Value:
        method = getattr(self, "x_" + type(node).__name__, None)
        if method is None:
            raise self.refuse(
                node, f"{type(node).__name__} would create a Python object: the language has none at run time"
            )
        value: Value = method(node, want)
        value.node = node
        if (
            not storing
            and isinstance(value.type, t.Nullable)
            and value.path is not None
            and self.is_narrowed(value.path)
        ):
            value.type = value.type.of
        return value

    def x_Evaluated(self, node: Evaluated, want: t.Type | None) -> Value:
        return replace(node.value)

    def number(self, n: int, kind: t.Type) -> str:
        """A literal of the type, as C reads it."""
        base: Any = kind.base if isinstance(kind, (t.Kind, t.EnumType, t.BitsType)) else kind
        if base is t.BOOL:
            return "1" if n else "0"
        suffix = {"u64": "UL", "i64": "L", "u32": "U"}.get(base.key, "")
        if n in (-(1 << 63), -(1 << 31)) and n == base.low:
            return f"(-{-n - 1}{suffix} - 1)"
        text = f"{n}{suffix}" if n >= 0 else f"({n}{suffix})"
        return text if base.bits >= 32 else f"<{base.key}>{text}"

    def constant(self, kind: t.Type, n: int) -> Value:
        return Value(self.number(n, kind), kind, const=n)

    def x_Constant(self, node: ast.Constant, want: t.Type | None) -> Value:
        value = node.value
        if value is None:
            return Value("NULL", t.NULL)
        if isinstance(value, bool):
            return Value("1" if value else "0", t.BOOL, const=value)
        if isinstance(value, int):
            return Value(str(value), t.LITERAL, const=value)
        if isinstance(value, str):
            if want is t.MESSAGE:
                return self.message(node)
            return Value(self.unit.literal(value), t.STR, const=value)
        if isinstance(value, float):
            raise self.refuse(
                node, "floating point: the hypervisor leaves those registers to the guests; use scaled integers"
            )
        raise self.refuse(
            node, f"{type(value).__name__} literals are not in the language: numbers, text, True, False and None are"
        )

    def x_JoinedStr(self, node: ast.JoinedStr, want: t.Type | None) -> Value:
        if want is not t.MESSAGE:
            raise self.refuse(
                node, "an f-string is only an argument for a parameter annotated Message: pass it where it is printed"
            )
        return self.message(node)

    def x_Tuple(self, node: ast.Tuple, want: t.Type | None) -> Value:
        wanted: list[t.Type | None] = [None] * len(node.elts)
        if isinstance(want, t.Tuple):
            if len(want.parts) != len(node.elts):
                raise self.refuse(node, f"{len(node.elts)} values where {want.shown} is wanted: one for each part")
            wanted = list(want.parts)
        values = self.tuple_values(node, wanted)
        kind = want if isinstance(want, t.Tuple) else t.intern(t.Tuple(tuple(v.type for v in values)))
        name = self.temporary(kind)
        for i, value in enumerate(values):
            self.emit(f"{name}.e{i} = {value.text}")
        return Value(name, kind, origin=frozenset().union(*(self.origin_of(v) for v in values)))

    def tuple_values(self, node: ast.Tuple, wanted: list[t.Type | None]) -> list[Value]:
        """The values between the commas, evaluated in order; each has a type."""
        values: list[Value] = []
        for element, want in zip(node.elts, wanted, strict=True):

            def made(element: ast.expr = element, want: t.Type | None = want) -> Value:
                if isinstance(element, ast.Starred):
                    raise self.refuse(element, "a star in a tuple: name each value")
                value = self.expression(element, want)
                return value if want is None else self.coerce(value, want, element)

            values, value = self.then(values, made)
            if value.type in (t.LITERAL, t.NULL):
                raise self.refuse(
                    element, f"`{ast.unparse(element)}` in a tuple needs a type: assign it by itself first"
                )
            if isinstance(value.type, t.Array) or (
                isinstance(value.type, t.ClassType) and value.type.instance.info.shape == "guard"
            ):
                raise self.refuse(element, f"{value.type.shown} in a tuple: it holds values and references")
            values = [*values, self.reference(value, element) if not is_record(value.type) else value]
        return values

    def tuple_part(self, owner: Value, index: int) -> Value:
        assert isinstance(owner.type, t.Tuple)
        return Value(f"{owner.text}.e{index}", owner.type.parts[index], cost=owner.cost, origin=owner.origin)

    # Names

    def x_Name(self, node: ast.Name, want: t.Type | None) -> Value:
        name = node.id
        local = self.scope.names.get(name)
        if isinstance(adapted := self.scope.environment.get(name), FunctionInstance):
            return self.function_value(adapted, node)
        if name in self.scope.stored:
            self.mark_used(name, node)
        if local is not None:
            origin = local.origin if local.origin is not None else escape.local(local.c)
            return Value(local.c, local.type, place=local.place, path=name, origin=origin, home=local.home)
        if name in self.scope.environment:
            return self.environment_value(self.scope.environment[name], node)
        found = self.compiler.program.look_up(self.module, name)
        return self.named(found, node, name)

    def environment_value(self, found: Any, node: ast.AST) -> Value:
        if isinstance(found, t.Constant):
            return self.typed_constant(found)
        if isinstance(found, t.ClassType):
            return Value("NULL", found)  # only its static methods can be meant
        raise self.refuse(node, "a type is not a value: call it, or name a constant")

    def typed_constant(self, found: t.Constant) -> Value:
        if found.type is t.STR:
            return Value(self.unit.literal(found.value), t.STR, const=found.value)
        if found.type is t.LITERAL:
            return Value(str(found.value), t.LITERAL, const=found.value)
        return self.constant(found.type, found.value)

    def named(self, found: Any, node: ast.expr, name: str) -> Value:
        match found:
            case Folded(value=bool(value)):
                return Value("1" if value else "0", t.BOOL, const=value)
            case Folded(value=int(value)):
                return Value(str(value), t.LITERAL, const=value)
            case Folded(value=str(value)):
                return Value(self.unit.literal(value), t.STR, const=value)
            case VariableDeclaration():
                return self.global_value(self.compiler.globals.of(found, node), name)
            case FunctionDeclaration():
                return self.function_value(self.compiler.declarations.function(found), node)
            case None:
                raise self.refuse(node, f"`{name}` is not known here: import or assign it first")
        raise self.refuse(node, f"`{name}` is not a value: call it, or name a constant")

    def global_value(self, found: Global, path: str | None) -> Value:
        if found.constant is not None:
            return self.typed_constant(found.constant)
        if isinstance(found.type, t.RegisterType):
            return Value(found.type.name, found.type)
        if isinstance(found, RegistryGlobal):
            found.type = self.compiler.globals.registry_array(found)
        self.unit.use_global(found)
        place = isinstance(found.type, t.Embedded)
        kind = found.type.of if isinstance(found.type, t.Embedded) else found.type
        return Value(found.c, kind, cost=1, place=place, path=path)

    def function_value(self, function: FunctionInstance, node: ast.AST) -> Value:
        if function.raises or not function.static:
            raise self.refuse(
                node,
                "only a plain function that does not raise can be a value: write one that calls this",
            )
        kind = t.intern(t.Function(tuple(p.type for p in function.parameters), function.result))
        self.unit.use_function(function)
        self.compiler.note_value(kind, function)
        return Value(function.c, kind)

    # Attributes

    def x_Attribute(self, node: ast.Attribute, want: t.Type | None) -> Value:
        special = self.class_attribute(node)
        if special is not None:
            return special
        owner = self.expression(node.value, None)
        path = path_of(node)
        kind = owner.type
        if isinstance(kind, t.ClassType):
            return self.field(owner, node, path)
        if isinstance(kind, t.BitsType):
            return self.bit_field(owner, node)
        if isinstance(kind, t.EnumType) and node.attr == "name":
            return Value(f"{self.compiler.enum_names(self.unit, kind)}({owner.text})", t.STR, cost=2)
        if kind is t.ERRNO and node.attr == "code":
            return Value(owner.text, t.I32, cost=owner.cost, const=owner.const)
        if kind is t.ERRNO and node.attr == "name":
            self.unit.helper("cx_errno_name", "text cx_errno_name(i32)")
            return Value(f"cx_errno_name({owner.text})", t.STR, cost=2)
        if kind is t.MESSAGE and node.attr == "count":
            self.unit.helper("cx_message_count", "u32 cx_message_count(message)")
            return Value(f"cx_message_count({owner.text})", t.U32, cost=1)
        if isinstance(kind, t.Pointer) and node.attr == "address":
            return Value(f"<u64>{owner.text}", t.U64, cost=owner.cost)
        if isinstance(kind, t.Nullable):
            shown = ast.unparse(node.value)
            raise self.refuse(node, f"`{shown}` may be None here: test it first, `if {shown} is None: …`")
        raise self.refuse(node, f"{kind.shown} has no `{node.attr}`: its declaration says what it has")

    def class_attribute(self, node: ast.Attribute) -> Value | None:
        """`State.FREE`, `Errno.EINVAL`, `module.name`."""
        if not isinstance(node.value, (ast.Name, ast.Attribute)):
            return None
        found = self.class_or_module(node.value)
        if isinstance(found, ModuleReference):
            inner = self.compiler.program.look_up(found.module, node.attr)
            return self.named(inner, node, node.attr)
        if isinstance(found, Builtin) and found.name == "Errno":
            if node.attr not in NUMBERS:
                raise self.refuse(node, f"no Errno.{node.attr}: hv/lang/errno.py lists them")
            return Value(str(NUMBERS[node.attr]), t.ERRNO, const=NUMBERS[node.attr])
        if isinstance(found, ClassDeclaration):
            enum = self.compiler.declarations.enum_of(found)
            if isinstance(enum, t.EnumType):
                if node.attr not in enum.members:
                    raise self.refuse(node, f"{enum.name} has no member `{node.attr}`: it has {names_of(enum.members)}")
                return self.constant(enum, enum.members[node.attr])
            raise self.refuse(node, f"`{ast.unparse(node)}` is not a value: a field belongs to an object")
        return None

    def class_or_module(self, node: ast.expr) -> Any:
        """What a name or `module.name` stands for when it is no local value."""
        if isinstance(node, ast.Name):
            if node.id in self.scope.stored or node.id in self.scope.environment:
                return None
            found = self.compiler.program.look_up(self.module, node.id)
            if isinstance(found, VariableDeclaration):
                kind = self.compiler.declarations.kind_or_alias(found)
                if isinstance(kind, (t.EnumType,)):
                    return None
            return found
        if isinstance(node, ast.Attribute):
            outer = self.class_or_module(node.value)
            if isinstance(outer, ModuleReference):
                return self.compiler.program.look_up(outer.module, node.attr)
        return None

    def field(self, owner: Value, node: ast.Attribute, path: str | None) -> Value:
        assert isinstance(owner.type, t.ClassType)
        instance = owner.type.instance
        kind = instance.fields.get(node.attr)
        if kind is None:
            method = instance.method(node.attr)
            if method is not None and "property" in method.decorators:
                return self.result_of(self.invoke(method, self.reference(owner, node), [], node), path)
            if method is not None:
                raise self.refuse(node, f"`{node.attr}` is a method: call it")
            raise self.refuse(node, f"{instance.shown} has no field `{node.attr}`: it has {names_of(instance.fields)}")
        if isinstance(kind, t.ConstType):
            return self.environment_value(kind.value, node)
        if owner.cost == 2 and owner.type.by_value:
            owner = self.spill(owner)
        self.unit.use_field(instance, node.attr, kind)
        text = f"{owner.text}.{c_field(node.attr)}"
        cost = max(owner.cost, 0 if owner.type.by_value and not owner.place else 1)
        by_value = owner.type.by_value
        home = owner.home if by_value else owner.origin
        if isinstance(kind, t.Embedded):
            return Value(text, kind.of, cost=cost, place=True, path=path, origin=home)
        origin = owner.origin if by_value else escape.inside(owner.origin)
        packed = instance.info.packed or instance.info.compat
        return Value(text, kind, cost=cost, path=path, packed=packed, origin=origin, home=home)

    def result_of(self, value: Value, path: str | None) -> Value:
        value.path = path
        return value

    def bit_field(self, owner: Value, node: ast.Attribute) -> Value:
        assert isinstance(owner.type, t.BitsType)
        base = owner.type.base
        if node.attr == "raw":
            return Value(owner.text, base, const=owner.const, cost=owner.cost)
        bits = owner.type.fields.get(node.attr)
        if bits is None:
            raise self.refuse(
                node, f"{owner.type.name} has no field `{node.attr}`: it has raw, {names_of(owner.type.fields)}"
            )
        if owner.const is not None:
            n = (owner.const >> bits.low) & bits.mask
            return self.truth(n != 0) if bits.type is t.BOOL else self.constant(bits.type, n)
        text = f"(({owner.text} >> {bits.low}) & {self.number(bits.mask, base)})"
        if bits.type is t.BOOL:
            return Value(f"({text} != 0)", t.BOOL, cost=owner.cost)
        if isinstance(bits.type, t.EnumType):
            return Value(
                f"{self.compiler.enum_check(self.unit, bits.type)}(<{bits.type.c}>{text})",
                bits.type,
                cost=max(owner.cost, 1),
            )
        return Value(f"<{bits.type.c}>{text}", bits.type, cost=owner.cost)

    # Elements

    def x_Subscript(self, node: ast.Subscript, want: t.Type | None) -> Value:
        owner = self.expression(node.value, None)
        kind = owner.type
        if kind is t.STR:
            return self.text_part(owner, node)

        def index_of() -> Value:
            return self.coerce_integer(self.expression(node.slice, None), node)

        if isinstance(kind, t.ClassType):
            method = kind.instance.method("__getitem__")
            if method is None or len(method.parameters) != 1:
                raise self.refuse(node, f"{kind.shown} has no `__getitem__`: declare one, or name a field")
            want = method.parameters[0].type
            (owner,), index = self.then([owner], lambda: self.coerce(self.expression(node.slice, want), want, node))
            return self.invoke(method, self.reference(owner, node), [index], node)
        if isinstance(kind, t.Pointer):
            (owner,), index = self.then([owner], index_of)
            place = isinstance(kind.of, t.ClassType) and not kind.of.by_value
            return Value(f"{owner.text}[{index.text}]", kind.of, cost=max(1, owner.cost, index.cost), place=place)
        if isinstance(kind, t.Tuple):
            index = index_of()
            if index.const is None or index.const >= len(kind.parts):
                raise self.refuse(
                    node, f"{kind.shown} is indexed by a constant below {len(kind.parts)}, or unpacked: `a, b = …`"
                )
            return self.tuple_part(self.spill(owner), index.const)
        if not isinstance(kind, t.Array):
            raise self.refuse(
                node, f"{kind.shown} has no elements: arrays, text, tuples and classes with `__getitem__` have"
            )
        (owner,), index = self.then([owner], index_of)
        if index.const is not None and index.const >= kind.length:
            raise self.refuse(node, f"index {index.const} of {kind.shown}: the last is {kind.length - 1}")
        element = kind.element
        cost = max(1, owner.cost, index.cost)
        at = index.text
        if index.const is None:
            # clang's own check lets an address, and the target of an assignment in parentheses, be one beyond the end.
            self.unit.helper("cx_index", "u64 cx_index(u64, u64)")
            at = f"cx_index(<u64>{index.text}, {kind.length})"
        text = f"{owner.text}[{at}]"
        if isinstance(element, t.Embedded):
            return Value(text, element.of, cost=cost, place=True, origin=owner.home)
        return Value(text, element, cost=cost, packed=owner.packed, origin=owner.origin, home=owner.home)


def is_record(kind: t.Type) -> bool:
    """Whether a value of the type is copied whole."""
    return isinstance(kind, t.ClassType) and kind.by_value
