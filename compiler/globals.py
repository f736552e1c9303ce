"""Module-level names that hold values: constants, variables, static objects, tables, registries, their initialisers."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from compiler import typesystem as t
from compiler.errors import CompileError
from compiler.instances import ClassInstance, FunctionInstance
from compiler.lowering import c_field
from compiler.program import Builtin, ClassDeclaration, Declared, FunctionDeclaration, Module, VariableDeclaration
from compiler.typesystem import names_of
from compiler.unit import c_string
from compiler.whole_types import Global, RegistryEntry, RegistryGlobal

if TYPE_CHECKING:
    from compiler.whole import Compiler


class Globals:
    def __init__(self, compiler: Compiler) -> None:
        self.compiler = compiler
        self.found: dict[VariableDeclaration, Global] = {}
        self.evaluating: set[VariableDeclaration] = set()
        self.in_entries: dict[tuple[ClassInstance, str], set[FunctionInstance]] = {}
        self.made_records: set[ClassInstance] = set()

    def check(self, declaration: VariableDeclaration) -> None:
        """Types a declaration that nothing may have used yet."""
        if (
            self.compiler.declarations.type_variable(declaration) is False
            and self.compiler.declarations.kind_or_alias(declaration) is None
        ):
            self.of(declaration, declaration.node)

    def of(self, declaration: VariableDeclaration, node: ast.AST) -> Global:
        found = self.found.get(declaration)
        if found is None:
            if declaration in self.evaluating:
                raise declaration.module.refuse(
                    declaration.node, f"`{declaration.name}` is defined by itself: give it a value of its own"
                )
            self.evaluating.add(declaration)
            found = self.found[declaration] = self._make(declaration)
            self.evaluating.discard(declaration)
        return found

    def _make(self, declaration: VariableDeclaration) -> Global:
        node, module = declaration.node, declaration.module
        if isinstance(node, ast.Assign):
            name = declaration.name
            raise module.refuse(node, f"`{name}` has no type: write `{name}: Final = …` or `{name}: u32 = …`")
        if node.value is None:
            raise module.refuse(node, f"`{declaration.name}` needs a value: write `{declaration.name}: T = …`")
        annotation = node.annotation
        final = isinstance(annotation, ast.Name) and annotation.id == "Final"
        if (
            isinstance(annotation, ast.Subscript)
            and isinstance(annotation.value, ast.Name)
            and annotation.value.id == "Final"
        ):
            return self._typed(declaration, annotation.slice, read_only=True)
        if not final:
            return self._typed(declaration, annotation, read_only=False)
        special = self._special(declaration)
        if special is not None:
            return special
        return Global(declaration, t.LITERAL, constant=self.compiler.constant_of(node.value, module, {}))

    def _special(self, declaration: VariableDeclaration) -> Global | None:
        """`Heap()`, `SpinLock[Rank.X]()`, `Registry[Option]()`, `SystemRegister("…")`, `Atomic[u32]()`, `Range(…)`."""
        node, module = declaration.node, declaration.module
        value = node.value
        if not isinstance(value, ast.Call):
            return None
        func = value.func
        name = func.value if isinstance(func, ast.Subscript) else func
        found = self.compiler.program.look_up(module, name.id) if isinstance(name, ast.Name) else None
        declarations = self.compiler.declarations
        if isinstance(found, Builtin):
            if found.name == "SystemRegister":
                declarations.need(module, "assembly", node, "SystemRegister")
                (text,) = value.args
                assert isinstance(text, ast.Constant)
                return Global(declaration, t.RegisterType(text.value))
            if found.name in ("Registry", "Adapted") and isinstance(func, ast.Subscript):
                kind = declarations.type_of(func.slice, module, {})
                if not isinstance(kind, t.ClassType) or not kind.by_value:
                    raise module.refuse(node, "a registry's entries are records: mark the class @value")
                adapter = self._adapter(value, module) if found.name == "Adapted" else None
                return RegistryGlobal(declaration, t.VOID, entry=kind.instance, adapter=adapter, read_only=True)
            if found.name == "Atomic" and isinstance(func, ast.Subscript):
                return Global(declaration, declarations.type_of(func, module, {}))
            return None
        if isinstance(found, ClassDeclaration) and declarations.enum_of(found) is None:
            kind = declarations.type_of(func, module, {})
            assert isinstance(kind, t.ClassType)
            if kind.by_value:
                return Global(declaration, kind, initial=self.static(value, kind, module), read_only=True)
            if value.args or value.keywords:
                raise module.refuse(node, "a static object starts as zeros: call its `init` later")
            return Global(declaration, t.intern(t.Embedded(kind)))
        return None

    def _typed(self, declaration: VariableDeclaration, annotation: ast.expr, read_only: bool) -> Global:
        node, module = declaration.node, declaration.module
        declarations = self.compiler.declarations
        kind = declarations.field_type(annotation, module, {})
        if isinstance(kind, t.Embedded) and isinstance(node.value, ast.Call):
            return self._special(declaration) or Global(declaration, kind)
        if isinstance(kind, t.Array):
            if not (
                isinstance(node.value, ast.Call)
                and isinstance(node.value.func, ast.Name)
                and node.value.func.id == "array"
            ):
                raise module.refuse(node, "a table has another form: write `array()` (zeros) or `array(a, b, …)`")
            initial = self.static(node.value, kind, module) if node.value.args else None
            return Global(declaration, kind, initial=initial, read_only=initial is not None and read_only)
        if isinstance(kind, t.Atomic):
            return Global(declaration, kind)
        if read_only and not isinstance(kind, (t.ClassType, t.ProtocolType, t.Nullable, t.Function)):
            return Global(declaration, kind, constant=self.compiler.constant_of(node.value, module, {}, kind))
        if isinstance(kind, t.ClassType) and not kind.by_value and isinstance(node.value, ast.Call):
            raise module.refuse(node, f"write `{declaration.name}: Final = {kind.shown}()` for a static object")
        return Global(declaration, kind, initial=self.static(node.value, kind, module), read_only=read_only)

    # Registries

    def collect_registries(self) -> None:
        """Finds every `@registry.entry(…)` in the program."""
        for module in self.compiler.program.ordered:
            for declaration in module.declarations:
                if isinstance(declaration, (FunctionDeclaration, ClassDeclaration)):
                    for decorator in declaration.node.decorator_list:
                        self._collect(module, declaration, decorator)

    def _collect(self, module: Module, declaration: Declared, decorator: ast.expr) -> None:
        match decorator:
            case ast.Call(func=ast.Attribute(value=owner, attr="entry")):
                pass
            case ast.Call(func=ast.Name() as owner) if isinstance(
                self.compiler.program.look_up(module, owner.id), VariableDeclaration
            ):
                pass
            case _:
                return
        found = None
        if isinstance(owner, ast.Name):
            found = self.compiler.program.look_up(module, owner.id)
        if not isinstance(found, VariableDeclaration) or not isinstance(
            registry := self.of(found, decorator), RegistryGlobal
        ):
            raise module.refuse(decorator, f"`{ast.unparse(owner)}` is no registry: make one with `Registry[Entry]()`")
        registry.entries.append(RegistryEntry(module, decorator, declaration))

    def finish(self) -> None:
        """Writes the registries' tables, in the order of module names and lines."""
        for found in list(self.found.values()):
            if isinstance(found, RegistryGlobal):
                self._finish(found)

    def is_entry(self, record: ClassInstance) -> bool:
        """Whether only registries hold records of this class."""
        return (
            any(isinstance(g, RegistryGlobal) and g.entry is record for g in self.found.values())
            and record not in self.made_records
        )

    def entry_functions(self, record: ClassInstance, field: str) -> set[FunctionInstance]:
        """The functions that registries put into a field."""
        if record in self.made_records:
            kind = record.fields[field]
            return self.compiler.address_taken.get(kind, set()) | self.in_entries.get((record, field), set())
        return self.in_entries.get((record, field), set())

    def registry_array(self, found: RegistryGlobal) -> t.Type:
        assert found.entry is not None
        return t.intern(t.Array(found.entry.type, len(found.entries)))

    def _finish(self, found: RegistryGlobal) -> None:
        assert found.entry is not None
        rows = []
        for item in sorted(found.entries, key=lambda e: e.order):
            rows.append(self._entry(found.entry, item, found.adapter))
        found.type = self.registry_array(found)
        found.initial = "{ " + ", ".join(rows) + " }"

    def _entry(self, record: ClassInstance, item: RegistryEntry, adapter: FunctionDeclaration | None) -> str:
        module, call = item.module, item.call
        given = item.given(record)
        named = isinstance(call.func, ast.Attribute)
        if (call.args and named) or "None" in given or len(given) < len(call.args) + len(call.keywords):
            raise module.refuse(call, 'a registry\'s entry names each field once: entry(name="…")')
        parts = []
        for name, kind in record.fields.items():
            if name in given:
                parts.append(f".{c_field(name)} = {self.static(given.pop(name), kind, module)}")
            elif isinstance(kind, t.Function) and isinstance(item.decorated, FunctionDeclaration) and adapter:
                parts.append(f".{c_field(name)} = {self.adapted(adapter, item, kind, (record, name)).c}")
            elif isinstance(kind, t.Function) and isinstance(item.decorated, FunctionDeclaration):
                parts.append(
                    f".{c_field(name)} = {self.function_text(item.decorated, kind, module, call, (record, name))}"
                )
            else:
                raise module.refuse(call, f"the entry needs `{name}`: name it in the decorator")
        if given:
            raise module.refuse(
                call, f"{record.shown} has no field `{next(iter(given))}`: it has {names_of(record.fields)}"
            )
        return "{ " + ", ".join(parts) + " }"

    def registries(self) -> list[RegistryGlobal]:
        return [found for found in self.found.values() if isinstance(found, RegistryGlobal)]

    # Adapted functions

    def _adapter(self, call: ast.Call, module: Module) -> FunctionDeclaration:
        """The function between the parentheses of `Adapted[Entry](adapter)`."""
        named = call.args[0] if len(call.args) == 1 and isinstance(call.args[0], ast.Name) else None
        found = self.compiler.program.look_up(module, named.id) if named is not None else None
        if not isinstance(found, FunctionDeclaration) or self._adapter_pattern(found) is None:
            raise module.refuse(
                call,
                "Adapted[Entry](adapter) takes a generic function whose first parameter is the function to adapt: "
                "`def adapter(function: Callable[[Vcpu, A], u64], …)`",
            )
        return found

    def _adapter_pattern(self, adapter: FunctionDeclaration) -> tuple[list[ast.expr], ast.expr] | None:
        """The parameters and the result that the adapter's first parameter names."""
        first = adapter.node.args.args[0].annotation if adapter.node.args.args else None
        match first:
            case ast.Subscript(value=ast.Name(id="Callable"), slice=ast.Tuple(elts=[ast.List(elts=inner), result])):
                return inner, result
        return None

    def adapted(
        self, adapter: FunctionDeclaration, item: RegistryEntry, want: t.Function, entry: tuple[ClassInstance, str]
    ) -> FunctionInstance:
        """The adapter's copy for a decorated function, which it calls directly."""
        declarations = self.compiler.declarations
        function = declarations.function(item.decorated)
        pattern = self._adapter_pattern(adapter)
        assert pattern is not None
        parameters, result = pattern
        env: dict[str, Any] = {}
        fits = len(parameters) == len(function.parameters)
        for node, parameter in zip(parameters, function.parameters, strict=False):
            variable = self.compiler.program.look_up(adapter.module, node.id) if isinstance(node, ast.Name) else None
            if isinstance(node, ast.Name) and declarations.type_variable(variable) is not False:
                fits = fits and env.setdefault(node.id, parameter.type) is parameter.type
            else:
                fits = fits and declarations.type_of(node, adapter.module, {}) is parameter.type
        if not fits or declarations.type_of(result, adapter.module, env) is not function.result:
            shown = f"({', '.join(p.type.shown for p in function.parameters)}) -> {function.result.shown}"
            first = ast.unparse(adapter.node.args.args[0].annotation)  # type: ignore[arg-type]
            raise item.module.refuse(
                item.call,
                f"`{function.node.name}` is {shown}, and `{adapter.name}` adapts {first}: give it that signature",
            )
        made = declarations.function(adapter, env | {adapter.node.args.args[0].arg: function})
        kind = t.intern(t.Function(tuple(p.type for p in made.parameters), made.result))
        if made.raises or kind is not want:
            shown = f"{kind.shown} and raises" if made.raises else kind.shown
            raise adapter.module.refuse(
                adapter.node,
                f"`{adapter.name}` makes {shown}, {want.shown} is wanted: the rest of its signature is the field's",
            )
        self.compiler.want(made)
        self.in_entries.setdefault(entry, set()).add(made)
        return made

    # Initialisers

    def function_text(
        self,
        declaration: FunctionDeclaration,
        want: t.Function,
        module: Module,
        node: ast.AST,
        entry: tuple[ClassInstance, str] | None = None,
    ) -> str:
        function = self.compiler.declarations.function(declaration)
        kind = t.intern(t.Function(tuple(p.type for p in function.parameters), function.result))
        if function.raises or kind is not want:
            shown = f"{kind.shown} and raises" if function.raises else kind.shown
            raise module.refuse(
                node, f"`{declaration.name}` is {shown}, {want.shown} is wanted: give it that signature"
            )
        if entry is None:
            self.compiler.note_value(kind, function)
        else:
            self.in_entries.setdefault(entry, set()).add(function)
        return function.c

    def static(self, node: ast.expr, want: t.Type, module: Module) -> str:
        """The C initialiser for a constant of the type."""
        look_up = self.compiler.program.look_up
        inner = want.of if isinstance(want, t.Nullable) else want
        if isinstance(node, ast.Constant) and node.value is None and isinstance(want, t.Nullable):
            return "{0}" if isinstance(inner, t.ProtocolType) else "0"
        if isinstance(want, t.Array):
            if not isinstance(node, ast.Call) or len(node.args) > want.length:
                raise module.refuse(
                    node, f"`array(…)` of at most {want.length} is wanted: leave elements out or make the table longer"
                )
            if len(node.args) not in (0, want.length):
                raise module.refuse(
                    node, f"{len(node.args)} elements for {want.shown}: give all of them, or none for zeros"
                )
            return "{ " + ", ".join(self.static(a, want.element, module) for a in node.args) + " }"
        if isinstance(inner, t.ClassType) and inner.by_value:
            if not isinstance(node, ast.Call):
                raise module.refuse(node, f"a record is wanted: write `{inner.shown}(…)`")
            return self._record(node, inner.instance, module)
        if isinstance(inner, (t.Function, t.ClassType, t.ProtocolType)):
            found = look_up(module, node.id) if isinstance(node, ast.Name) else None
            if isinstance(inner, t.Function) and isinstance(found, FunctionDeclaration):
                return self.function_text(found, inner, module, node)
            if isinstance(found, VariableDeclaration):
                other = self.of(found, node)
                if isinstance(other.type, t.Embedded):
                    if other.type.of is inner:
                        return f"&{other.c}"
                    if isinstance(inner, t.ProtocolType) and inner.instance in other.type.of.instance.protocols:
                        name = f"{inner.c}_of_{other.type.of.instance.c}"
                        self.compiler.casts[name] = (inner.instance, other.type.of.instance)
                        return f"{{ &{other.c}, &{inner.c}_for_{other.type.of.instance.c} }}"
            raise module.refuse(
                node, f"`{ast.unparse(node)}` is no constant {want.shown}: name a static object or a function"
            )
        constant = self.compiler.constant_of(node, module, {}, want)
        if constant.type is t.STR:
            data = constant.value.encode()
            return f"{{ {c_string(data)}, {len(data)} }}"
        if constant.value == -(1 << 63):
            return "-9223372036854775807 - 1"
        suffix = "UL" if constant.value > 0x7FFFFFFFFFFFFFFF else ""
        return f"{int(constant.value)}{suffix}"

    def _record(self, node: ast.Call, record: ClassInstance, module: Module) -> str:
        fields = [(n, k) for n, k in record.fields.items() if not isinstance(k, t.ConstType)]
        given: dict[str, ast.expr] = {n: a for (n, _), a in zip(fields, node.args, strict=False)}
        for keyword in node.keywords:
            given[str(keyword.arg)] = keyword.value
        missing = [n for n, _ in fields if n not in given]
        unknown = [n for n in given if n not in record.fields]
        if missing or unknown or len(node.args) > len(fields):
            raise module.refuse(
                node, f"{record.shown} takes each of its fields once: {', '.join(n for n, _ in fields)}"
            )
        return "{ " + ", ".join(f".{c_field(n)} = {self.static(given[n], k, module)}" for n, k in fields) + " }"


__all__ = ["CompileError", "Globals"]
