"""What annotations mean: type expressions, and what a field or a parameter of each may hold."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from compiler import typesystem as t
from compiler.abi import is_plain
from compiler.instances import ClassInfo, ClassInstance, Environment
from compiler.program import Builtin, ClassDeclaration, Module, ModuleReference, Program, VariableDeclaration


class Annotations:
    """Types of annotations. Kinds and aliases get theirs once."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.kinds: dict[VariableDeclaration, t.Type] = {}
        self.constant_of: Any = None  # set by the compiler: evaluates a constant expression

    def type_of(self, node: ast.expr, module: Module, env: Environment) -> Any:
        """The Type (or, for a generic's constant argument, the Constant) that an annotation means."""
        match node:
            case ast.Constant(value=None):
                return t.VOID
            case ast.Constant(value=str()):
                return self.type_of(unquoted(node), module, env)
            case ast.BinOp(op=ast.BitOr(), left=left, right=ast.Constant(value=None)):
                return self._nullable(self.type_of(left, module, env), module, node)
            case ast.Name(id=name):
                return self._named_type(name, node, module, env)
            case ast.Attribute():
                found = self._attribute(node, module)
                if isinstance(found, (ClassDeclaration, VariableDeclaration)):
                    return self._declared_type(found, node, module)
            case ast.Subscript(value=ast.Name(id=name), slice=index):
                return self._subscript(name, index, node, module, env)
            case ast.Subscript(value=ast.Attribute() as attribute, slice=index):
                found = self._attribute(attribute, module)
                if isinstance(found, ClassDeclaration):
                    return self.instance_for(found, index, node, module, env).type
        raise module.refuse(node, f"`{ast.unparse(node)}` is not a type: name a class, an integer type or an alias")

    def _attribute(self, node: ast.Attribute, module: Module) -> Any:
        if isinstance(node.value, ast.Name):
            found = self.program.look_up(module, node.value.id)
            if isinstance(found, ModuleReference):
                return self.program.look_up(found.module, node.attr)
        return None

    def _nullable(self, inner: t.Type, module: Module, node: ast.expr) -> t.Type:
        if isinstance(inner, (t.ClassType, t.ProtocolType, t.Function, t.Pointer)) and not (
            isinstance(inner, t.ClassType) and inner.by_value
        ):
            return t.intern(t.Nullable(inner))
        raise module.refuse(
            node, f"`{inner.shown} | None`: only references may be null; give a record a field that says so"
        )

    def _named_type(self, name: str, node: ast.expr, module: Module, env: Environment) -> Any:
        if name in env:
            return env[name]
        found = self.program.look_up(module, name)
        if isinstance(found, Builtin):
            if found.name in t.INTS:
                return t.INTS[found.name]
            simple = {"bool": t.BOOL, "str": t.STR, "Message": t.MESSAGE, "Never": t.NEVER, "Errno": t.ERRNO}.get(
                found.name
            )
            if simple is not None:
                return simple
            if found.name == "int":
                raise module.refuse(node, "`int` has no width: write u8 … u64 or i8 … i64")
            if found.name == "object":
                raise module.refuse(node, "`object`: every value has a type of its own here")
        if isinstance(found, (ClassDeclaration, VariableDeclaration)):
            return self._declared_type(found, node, module)
        if found is None:
            raise module.refuse(node, f"`{name}` is not known here: import it")
        raise module.refuse(node, f"`{name}` is not a type: name a class, an integer type or an alias")

    def _declared_type(self, found: Any, node: ast.expr, module: Module) -> Any:
        if isinstance(found, ClassDeclaration):
            enum = self.enum_of(found)
            if enum is not None:
                return enum
            info = self.info(found)
            if info.parameters:
                raise module.refuse(node, f"`{found.name}` is generic: write `{found.name}[…]`")
            return self.instance(info, ()).type
        kind = self.kind_or_alias(found)
        if kind is None:
            raise module.refuse(node, f"`{found.name}` is not a type: name a class, an integer type or an alias")
        return kind

    def kind_or_alias(self, found: VariableDeclaration) -> t.Type | None:
        """The type behind `Gfn = NewType("Gfn", u64)` or an alias; None when the variable is a value."""
        if found in self.kinds:
            return self.kinds[found]
        made: t.Type | None = None
        value = found.node.value
        annotated_alias = (
            isinstance(found.node, ast.AnnAssign)
            and isinstance(found.node.annotation, ast.Name)
            and found.node.annotation.id == "TypeAlias"
        )
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "NewType":
            base = self.type_of(value.args[1], found.module, {})
            if not isinstance(base, t.Int):
                raise found.module.refuse(value, 'NewType names an integer type: NewType("Gfn", u64)')
            made = t.Kind(found.c_name, base)
        elif annotated_alias or (
            isinstance(found.node, ast.Assign) and isinstance(value, (ast.Subscript, ast.Name, ast.BinOp))
        ):
            made = self.type_of(value, found.module, {})
        if made is not None:
            self.kinds[found] = made
        return made

    def _subscript(self, name: str, index: ast.expr, node: ast.expr, module: Module, env: Environment) -> Any:
        found = self.program.look_up(module, name)
        if isinstance(found, ClassDeclaration):
            return self.instance_for(found, index, node, module, env).type
        match found.name if isinstance(found, Builtin) else None:
            case "array":
                if not (isinstance(index, ast.Tuple) and len(index.elts) == 2):
                    raise module.refuse(node, "an array has a type and a length: array[u32, 16]")
                element = self.field_type(index.elts[0], module, env)
                if isinstance(element, t.ClassType) and not element.by_value:
                    element = t.intern(t.Embedded(element))
                return t.intern(t.Array(element, self.length_of(index.elts[1], module, env)))
            case "ptr":
                self.need(module, "pointers", node, "ptr")
                return t.intern(t.Pointer(self.type_of(index, module, env)))
            case "Embedded":
                inner = self.type_of(index, module, env)
                if not isinstance(inner, t.ClassType) or inner.by_value:
                    raise module.refuse(node, f"Embedded[{inner.shown}]: only a class of references can be embedded")
                return t.intern(t.Embedded(inner))
            case "Atomic":
                self.need(module, "atomics", node, "Atomic")
                return self._atomic(index, node, module, env)
            case "Long" | "Aligned":
                return self._sized(name, index, node, module, env)
            case "Compat":
                return self._compat(index, node, module, env)
            case "Const":
                return t.ConstType(self.type_of(index, module, env))
            case "Final":
                return self.type_of(index, module, env)
            case "tuple":
                return self._tuple(index, module, env)
            case "Callable":
                if isinstance(index, ast.Tuple) and len(index.elts) == 2 and isinstance(index.elts[0], ast.List):
                    parameters = tuple(self.type_of(e, module, env) for e in index.elts[0].elts)
                    return t.intern(t.Function(parameters, self.type_of(index.elts[1], module, env)))
                raise module.refuse(node, "write Callable[[u32, str], None]")
        raise module.refuse(node, f"`{ast.unparse(node)}` is not a type: name a class, an integer type or an alias")

    def _atomic(self, index: ast.expr, node: ast.expr, module: Module, env: Environment) -> t.Type:
        of = self.type_of(index, module, env)
        if isinstance(of, t.ClassType) and not of.by_value:
            raise module.refuse(node, f"Atomic[{of.shown}]: it begins as None; write Atomic[{of.shown} | None]")
        if isinstance(of, t.Nullable) and not isinstance(of.of, t.ClassType):
            raise module.refuse(node, f"Atomic[{of.shown}]: one word holds an integer, or a reference to a class")
        return t.intern(t.Atomic(of))  # type: ignore[no-any-return]

    def _sized(self, word: str, index: ast.expr, node: ast.expr, module: Module, env: Environment) -> t.Type:
        """`Long[T]`, `Aligned[T]`: for the class itself no more than T."""
        found: t.Type = self.type_of(index, module, env)
        base = found.base if isinstance(found, (t.Kind, t.BitsType)) else found
        if not isinstance(base, t.Int) or base.bits != 64 or (word == "Long" and base.signed):
            raise module.refuse(node, f"{word}[{found.shown}]: it is said of an integer of 64 bits, in an @abi class")
        return found

    def _compat(self, index: ast.expr, node: ast.expr, module: Module, env: Environment) -> t.Type:
        found = self.type_of(index, module, env)
        if not isinstance(found, t.ClassType) or not is_plain(found):
            shown = f"Compat[{ast.unparse(index)}]"
            raise module.refuse(
                node, f"{shown}: only a class of integers, as @abi wants, has a form for 32-bit callers"
            )
        return self.compat_of(found.instance).type  # type: ignore[no-any-return]

    def _tuple(self, index: ast.expr, module: Module, env: Environment) -> t.Type:
        parts = [self.type_of(e, module, env) for e in index.elts] if isinstance(index, ast.Tuple) else []
        if len(parts) < 2 or any(not isinstance(part, t.Type) for part in parts):
            raise module.refuse(index, "a tuple holds two values or more: write tuple[u32, bool]")
        for part in parts:
            if isinstance(part, (t.Array, t.Embedded, t.Atomic, t.ConstType)) or part in (t.VOID, t.NEVER, t.MESSAGE):
                raise module.refuse(index, f"{part.shown} in a tuple: it holds values and references")
            if isinstance(part, t.ClassType) and part.instance.info.shape == "guard":
                raise module.refuse(index, f"a {part.shown} belongs to a `with` statement: it lies in no tuple")
        return t.intern(t.Tuple(tuple(parts)))

    def field_type(self, node: ast.expr, module: Module, env: Environment) -> t.Type:
        """What a field or element holds: classes marked @embedded lie inside their owner."""
        found = self.type_of(node, module, env)
        if isinstance(found, t.ClassType) and found.instance.info.shape == "embedded":
            return t.intern(t.Embedded(found))
        if isinstance(found, t.Constant) or found in (t.VOID, t.NEVER, t.MESSAGE):
            raise module.refuse(node, f"`{ast.unparse(node)}` cannot be stored: keep what it is made of")
        if isinstance(found, t.Tuple):
            raise module.refuse(
                node, f"{found.shown} cannot be stored: declare a @value class, whose fields have names"
            )
        if isinstance(found, t.ClassType) and found.instance.info.shape == "guard":
            raise module.refuse(node, f"a {found.shown} belongs to a `with` statement: it is stored nowhere")
        return found

    def length_of(self, node: ast.expr, module: Module, env: Environment) -> int:
        value = self.constant_of(node, module, env)
        if not isinstance(value.value, int) or value.value <= 0:
            raise module.refuse(node, f"`{ast.unparse(node)}`: an array's length is a positive constant")
        return value.value

    def need(self, module: Module, heading: str, node: ast.AST, word: str) -> None:
        if not self.program.allowed(module, heading):
            raise module.refuse(
                node,
                f"`{word}` is a low-level word: list {module.name} under `{heading}` in hv/listed.toml, "
                "or use a module that is listed",
            )

    # Defined by Enums and Declarations, which need types in turn.

    enum_of: Callable[[ClassDeclaration], t.Type | None]
    info: Callable[[ClassDeclaration], ClassInfo]
    instance: Callable[[ClassInfo, tuple[Any, ...]], ClassInstance]
    instance_for: Callable[[ClassDeclaration, ast.expr, ast.expr, Module, Environment], ClassInstance]
    compat_of: Callable[[ClassInstance], ClassInstance]


def unquoted(node: ast.expr) -> ast.expr:
    """An annotation in quotes, which name what Python does not know yet, as the expression in them."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        parsed = ast.parse(node.value, mode="eval").body
        ast.increment_lineno(parsed, node.lineno - 1)
        return parsed
    return node
