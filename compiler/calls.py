"""Lowering calls: of functions, methods, interfaces and function values; conversions between types; made records."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import partial
from typing import Any

from compiler import typesystem as t
from compiler.escape import NOTHING
from compiler.instances import ClassInstance, FunctionInstance
from compiler.lowering import Lowering, c_field
from compiler.program import Builtin, ClassDeclaration, FunctionDeclaration, ModuleReference, VariableDeclaration
from compiler.typesystem import Value, names_of


class Calls(Lowering):
    def x_Call(self, node: ast.Call, want: t.Type | None) -> Value:
        value = self.call(node, want)
        if value.type in (t.VOID, t.NEVER):
            raise self.refuse(node, f"`{ast.unparse(node.func)}` returns nothing: call it by itself")
        return value

    def call(self, node: ast.Call, want: t.Type | None, statement: bool = False) -> Value:
        if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
            raise self.refuse(node, "star arguments: name each argument")
        self.before_dot = None
        target = self.callee(node.func)
        if target is not None:
            return self.call_function(node, *target)
        if isinstance(node.func, (ast.Name, ast.Subscript, ast.Attribute)):
            found = self.class_or_module(node.func.value if isinstance(node.func, ast.Subscript) else node.func)
            if isinstance(found, Builtin):
                return self.word(found.name, node, want)
            if isinstance(found, FunctionDeclaration):
                return self.call_generic(node, found)
            made = self.class_called(node)
            if made is not None:
                return self.make_record(made, node)
            kind = self.converted_to(node.func)
            if kind is not None:
                return self.conversion(kind, node)
        if isinstance(node.func, ast.Attribute):
            return self.call_attribute(node, node.func)
        value = self.expression(node.func, None)
        return self.call_value(value, node)

    # What is called

    def callee(self, node: ast.expr) -> tuple[FunctionInstance, Value | None] | None:
        """The function behind a name, `module.name`, `Class.static` or `object.method`; None for something else."""
        if isinstance(node, ast.Name) and isinstance(adapted := self.scope.environment.get(node.id), FunctionInstance):
            return adapted, None
        if isinstance(node, (ast.Name, ast.Attribute)):
            found = self.class_or_module(node)
            if isinstance(found, FunctionDeclaration):
                if self.is_generic(found):
                    return None
                return self.compiler.declarations.function(found), None
        if not isinstance(node, ast.Attribute):
            return None
        owner_class = self.named_class(node.value)
        if owner_class is not None:
            method = owner_class.method(node.attr)
            if method is not None and method.static:
                return method, None
            return None
        if isinstance(node.value, (ast.Name, ast.Attribute)) and not isinstance(
            self.class_or_module(node.value), (VariableDeclaration, type(None))
        ):
            return None
        me = self.expression(node.value, None)
        if isinstance(me.type, t.ClassType):
            method = me.type.instance.method(node.attr)
            if method is not None and "property" not in method.decorators:
                return method, None if method.static else me
        self.before_dot = me
        return None

    before_dot: Value | None = None  # what `callee` evaluated in vain, for the call that follows

    def is_generic(self, found: FunctionDeclaration) -> bool:
        names = {
            n.id
            for a in found.node.args.args
            if a.annotation is not None
            for n in ast.walk(a.annotation)
            if isinstance(n, ast.Name)
        }
        look_up = self.compiler.program.look_up
        return any(self.compiler.declarations.type_variable(look_up(found.module, n)) is not False for n in names)

    def named_class(self, node: ast.expr) -> ClassInstance | None:
        """`Heap` or `Pool[Vcpu]` before a dot."""
        declarations = self.compiler.declarations
        if isinstance(node, ast.Subscript):
            found = self.class_or_module(node.value)
            if isinstance(found, Builtin) and found.name == "Compat":
                return declarations.type_of(node, self.module, self.scope.environment).instance  # type: ignore[no-any-return]
            if isinstance(found, ClassDeclaration) and declarations.enum_of(found) is None:
                return declarations.instance_for(found, node.slice, node, self.module, self.scope.environment)
            return None
        if (
            isinstance(node, ast.Name)
            and isinstance(self.scope.environment.get(node.id), t.ClassType)
            and node.id not in self.scope.names
        ):
            return self.scope.environment[node.id].instance  # type: ignore[no-any-return]
        if not isinstance(node, (ast.Name, ast.Attribute)):
            return None
        found = self.class_or_module(node)
        if (
            isinstance(found, ClassDeclaration)
            and declarations.enum_of(found) is None
            and not declarations.info(found).parameters
        ):
            return declarations.instance(declarations.info(found), ())
        return None

    def class_called(self, node: ast.expr) -> ClassInstance | None:
        return self.named_class(node.func) if isinstance(node, ast.Call) else None

    def converted_to(self, node: ast.expr) -> t.Type | None:
        """A kind, enum or bit-field class that a call converts to."""
        if not isinstance(node, (ast.Name, ast.Attribute)):
            return None
        found = self.class_or_module(node)
        if isinstance(found, ClassDeclaration):
            return self.compiler.declarations.enum_of(found)
        if isinstance(found, VariableDeclaration):
            return self.compiler.declarations.kind_or_alias(found)
        return None

    # Calls

    def call_function(self, node: ast.Call, function: FunctionInstance, me: Value | None) -> Value:
        if function.element is not None:
            raise self.refuse(node, "an iterator is no value: loop over it with `for`")
        if me is not None:
            (me,), arguments = self.then_all([me], lambda: self.match_arguments(function, node))
            return self.invoke(function, self.reference(me, node), arguments, node)
        return self.invoke(function, None, self.match_arguments(function, node), node)

    def then_all(self, earlier: list[Value], make: Callable[[], list[Value]]) -> tuple[list[Value], list[Value]]:
        """Like `then`, for several values."""
        made: list[Value] = []

        def run() -> Value:
            made.extend(make())
            return Value("", t.VOID, cost=max((v.cost for v in made), default=0))

        return self.then(earlier, run)[0], made

    def match_arguments(self, function: FunctionInstance, node: ast.Call) -> list[Value]:
        """The arguments in the order of the parameters, evaluated in the order written."""
        return self.arguments_for(
            [(p.name, p.type, p.default) for p in function.parameters], node, function.node.name, function
        )

    def arguments_for(
        self,
        parameters: list[tuple[str, t.Type, ast.expr | None]],
        node: ast.Call,
        name: str,
        function: FunctionInstance | None,
    ) -> list[Value]:
        given: dict[str, ast.expr] = {}
        if len(node.args) > len(parameters):
            raise self.refuse(
                node, f"`{name}` takes {len(parameters)} arguments, not {len(node.args)}: give each parameter one"
            )
        for (parameter, _, _), value in zip(parameters, node.args, strict=False):
            given[parameter] = value
        known = {p for p, _, _ in parameters}
        for keyword in node.keywords:
            if keyword.arg not in known:
                raise self.refuse(
                    node, f"`{name}` has no parameter `{keyword.arg}`: it has {names_of(p for p, _, _ in parameters)}"
                )
            if keyword.arg in given:
                raise self.refuse(node, f"`{keyword.arg}` is given twice: leave one out")
            given[keyword.arg] = keyword.value
        kinds = {p: k for p, k, _ in parameters}
        values: dict[str, Value] = {}
        for parameter, source in given.items():
            kind = kinds[parameter]
            earlier, value = self.then(list(values.values()), partial(self.argument, source, kind))
            values = dict(zip(values, earlier, strict=True)) | {parameter: value}
        result = []
        for parameter, kind, default in parameters:
            if parameter in values:
                result.append(values[parameter])
            elif default is not None:
                assert function is not None
                found = self.compiler.declarations.constant_of(default, function.module, function.environment, kind)
                none = Value("NULL", t.NULL)
                result.append(self.coerce(none, kind, node) if found is None else self.typed_constant(found))
            else:
                raise self.refuse(node, f"`{name}` needs `{parameter}`: give it by position or by name")
        return result

    def argument(self, source: ast.expr, kind: t.Type) -> Value:
        return self.coerce(self.expression(source, kind), kind, source)

    def invoke(self, function: FunctionInstance, me: Value | None, arguments: list[Value], node: ast.AST) -> Value:
        """A call with checked arguments; a raising one leaves its value in a temporary and goes on without error."""
        protocol = function.owner is not None and function.owner.info.shape == "protocol"
        texts = [a.text for a in arguments]
        if protocol:
            assert me is not None and function.owner is not None
            text = self.interface_call(function, me, texts)
        else:
            self.unit.use_function(function)
            self.compiler.note_call(self.function, function)
            text = f"{function.c}({', '.join(([me.text] if me is not None else []) + texts)})"
        target = (function.owner, function.node.name) if protocol else function
        given = [*([me] if me is not None else []), *arguments]
        origin = self.flow.call(target, [self.origin_of(a) for a in given], self.where(node))
        if not function.raises:
            value = Value(text, function.result, cost=2, origin=origin)
            if function.result not in (t.VOID, t.NEVER) and is_struct(function.result):
                name = self.temporary(function.result)
                self.emit(f"{name} = {text}")
                return Value(name, function.result, origin=origin)
            return value
        self.unit.helper("CX_FAILED", "boolean CX_FAILED(i32)")
        if function.result in (t.VOID, t.NEVER):
            status = self.raw_temporary("i32")
            self.emit(f"{status} = {text}")
            error = status
        else:
            self.unit.use_result(function.result)
            status = self.raw_temporary(function.return_c)
            self.emit(f"{status} = {text}")
            error = f"{status}.error"
        with self.block(f"if CX_FAILED({error}):"):
            self.raise_error(error, node)
        if function.result in (t.VOID, t.NEVER):
            return Value("", function.result)
        return Value(f"{status}.value", function.result, origin=origin)

    def interface_call(self, function: FunctionInstance, me: Value, arguments: list[str]) -> str:
        assert function.owner is not None
        interface = function.owner
        me = self.spill(me)
        implementations = self.compiler.implementations(interface)
        self.unit.use_interface(interface.type)
        self.compiler.note_interface_call(self.function, interface, function.node.name)
        if len(implementations) == 1 and not self.compiler.has_generic_implementations(interface):
            method = implementations[0].method(function.node.name)
            assert method is not None
            self.unit.use_function(method)
            self.unit.use_struct(implementations[0])
            return f"{method.c}({', '.join([f'<{implementations[0].self_c}>{me.text}.object', *arguments])})"
        self.unit.use_interface_method(function)
        return f"{me.text}.table.{function.node.name}({', '.join([f'{me.text}.object', *arguments])})"

    def call_attribute(self, node: ast.Call, func: ast.Attribute) -> Value:
        """`x.method(…)` where x is an interface, an atomic, a text, a register, or a field that holds a function."""
        special = self.class_word(node, func)
        if special is not None:
            return special
        me = self.before_dot or self.expression(func.value, None)
        self.before_dot = None
        kind = me.type
        if isinstance(kind, t.ProtocolType):
            method = kind.instance.method(func.attr)
            if method is None:
                raise self.refuse(node, f"{kind.shown} has no method `{func.attr}`: its declaration says what it has")
            me = self.spill(me)
            return self.invoke(method, me, self.match_arguments(method, node), node)
        if isinstance(kind, t.Atomic):
            return self.atomic(me, kind, func.attr, node)
        if kind is t.STR:
            return self.text_method(me, func.attr, node)
        if isinstance(kind, t.RegisterType):
            return self.register(me, func.attr, node)
        if kind is t.MESSAGE:
            return self.message_part(me, func.attr, node)
        if isinstance(kind, t.Pointer) and func.attr == "ref":
            if not isinstance(kind.of, t.ClassType):
                raise self.refuse(node, "only a pointer to a class has a reference: use p[0]")
            return Value(me.text, kind.of, cost=me.cost)
        if isinstance(kind, t.Nullable):
            shown = ast.unparse(func.value)
            raise self.refuse(node, f"`{shown}` may be None here: test it first, `if {shown} is None: …`")
        if isinstance(kind, t.ClassType):
            if func.attr in kind.instance.fields:
                return self.call_value(self.field(me, func, None), node)
            raise self.refuse(node, f"{kind.shown} has no method `{func.attr}`: its declaration says what it has")
        raise self.refuse(
            node,
            f"{kind.shown} has no method `{func.attr}`: its declaration says what it has",
        )

    def call_value(self, value: Value, node: ast.Call) -> Value:
        if isinstance(value.type, t.Nullable) and isinstance(value.type.of, t.Function):
            raise self.refuse(node, f"`{ast.unparse(node.func)}` may be None here: test it first")
        if not isinstance(value.type, t.Function):
            raise self.refuse(node, f"{value.type.shown} cannot be called: functions and fields that hold one can be")
        parameters: list[tuple[str, t.Type, ast.expr | None]] = [
            (f"argument {i + 1}", p, None) for i, p in enumerate(value.type.parameters)
        ]
        shown = ast.unparse(node.func)
        (value,), arguments = self.then_all([value], lambda: self.arguments_for(parameters, node, shown, None))
        self.compiler.note_indirect_call(self.function, value.type, self.registry_field(node.func))
        self.unit.use_type(value.type)
        text = f"{value.text}({', '.join(a.text for a in arguments)})"
        registry = self.registry_field(node.func)
        target = value.type if registry is None else ("registry", *registry)
        origin = self.flow.call(target, [self.origin_of(a) for a in arguments], self.where(node))
        if value.type.result not in (t.VOID, t.NEVER) and is_struct(value.type.result):
            name = self.temporary(value.type.result)
            self.emit(f"{name} = {text}")
            return Value(name, value.type.result, origin=origin)
        return Value(text, value.type.result, cost=2, origin=origin)

    def registry_field(self, node: ast.expr) -> tuple[ClassInstance, str] | None:
        """The entry class and field of `entry.handler(…)`: only what registries hold can be called there."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            local = self.scope.names.get(node.value.id)
            if (
                local is not None
                and isinstance(local.type, t.ClassType)
                and self.compiler.globals.is_entry(local.type.instance)
            ):
                return local.type.instance, node.attr
        return None

    def call_generic(self, node: ast.Call, found: FunctionDeclaration) -> Value:
        """A generic function: its parameters are inferred from the arguments."""
        env: dict[str, Any] = {}
        declarations = self.compiler.declarations
        for argument, source in zip(found.node.args.args, node.args, strict=False):
            assert argument.annotation is not None
            before = len(self.lines)
            value = self.expression(source, None)
            del self.lines[before:]
            self.unify(argument.annotation, value.type, found, env)
        if not env:
            raise self.refuse(
                node,
                f"the parameters of generic `{found.name}` cannot be inferred: pass arguments whose types are known",
            )
        function = declarations.function(found, env)
        self.compiler.want(function)
        return self.invoke(function, None, self.match_arguments(function, node), node)

    def unify(self, pattern: ast.expr, kind: t.Type, found: FunctionDeclaration, env: dict[str, Any]) -> None:
        if isinstance(pattern, ast.Name):
            bound = self.compiler.declarations.type_variable(self.compiler.program.look_up(found.module, pattern.id))
            if bound is not False and kind is not t.LITERAL:
                env.setdefault(pattern.id, kind)
        elif isinstance(pattern, ast.Subscript) and isinstance(kind, (t.ClassType, t.ProtocolType)):
            inner = pattern.slice.elts if isinstance(pattern.slice, ast.Tuple) else [pattern.slice]
            for node, argument in zip(inner, kind.instance.arguments, strict=False):
                if isinstance(node, ast.Name):
                    bound = self.compiler.declarations.type_variable(
                        self.compiler.program.look_up(found.module, node.id)
                    )
                    if bound is not False:
                        env.setdefault(node.id, argument)

    # Records

    def make_record(self, made: ClassInstance, node: ast.Call) -> Value:
        if not made.info.by_value:
            raise self.refuse(
                node,
                f"`{made.shown}()` makes an object: `name = {made.shown}()` puts one on the stack; "
                "pools and module variables hold others",
            )
        self.compiler.globals.made_records.add(made)
        fields = [(name, kind) for name, kind in made.fields.items() if not isinstance(kind, t.ConstType)]
        for field, kind in fields:
            if isinstance(kind, (t.Array, t.Embedded)):
                raise self.refuse(
                    node, f"`{field}` of a record that is copied cannot be {kind.shown}: make it a class of references"
                )
        parameters: list[tuple[str, t.Type, ast.expr | None]] = [(name, kind, None) for name, kind in fields]
        values = self.arguments_for(parameters, node, made.shown, None)
        name = self.temporary(made.type)
        for (field, kind), value in zip(fields, values, strict=True):
            self.unit.use_field(made, field, kind)
            self.emit(f"{name}.{c_field(field)} = {value.text}")
        if not fields:
            self.unit.use_struct(made)
        return Value(name, made.type, origin=frozenset().union(*(self.origin_of(v) for v in values)))

    # Conversions

    def reference(self, value: Value, node: ast.AST) -> Value:
        """A class value as the pointer that is passed."""
        if isinstance(value.type, t.ClassType):
            origin = self.address_of_record(value, value.text) if value.type.by_value else value.origin
            if value.place:
                return Value("&" + value.text, value.type, cost=value.cost, path=value.path, origin=origin)
            if value.type.by_value:
                if value.cost:
                    value = self.spill(value)
                return Value("&" + value.text, value.type, path=value.path, origin=origin)
        return value

    def coerce(self, value: Value, want: t.Type, node: ast.AST) -> Value:
        """The value as the type that the context wants, or a refusal that names both."""
        kind = value.type
        if kind is want:
            if isinstance(kind, t.ClassType) and not kind.by_value:
                return self.reference(value, node)
            return value
        if kind is t.LITERAL:
            if isinstance(want, t.Int):
                if not want.low <= value.const <= want.high:
                    raise self.refuse(node, f"{value.const} does not fit {want.shown}: use a wider type")
                return self.constant(want, value.const)
            if want is t.LITERAL:
                return value
        if isinstance(kind, t.Kind) and want is kind.base:
            return Value(value.text, want, const=value.const, cost=value.cost)
        if kind is t.NULL and isinstance(want, t.Nullable):
            if isinstance(want.of, t.ProtocolType):
                self.unit.use_interface(want.of)
                name = self.temporary(want)
                self.emit(f"{name}.object = NULL")
                self.emit(f"{name}.table = NULL")
                return Value(name, want, origin=frozenset({NOTHING}))
            return Value("NULL", want, origin=frozenset({NOTHING}))
        if isinstance(want, t.Nullable) and kind is want.of:
            value = self.reference(value, node)
            return Value(value.text, want, cost=value.cost, path=value.path, origin=value.origin)
        interface = want.of if isinstance(want, t.Nullable) else want
        if (
            isinstance(interface, t.ProtocolType)
            and isinstance(kind, t.ClassType)
            and any(p is interface.instance for p in kind.instance.protocols)
        ):
            me = self.reference(value, node)
            name = self.unit.interface_cast(interface, kind.instance)
            return self.spill(Value(f"{name}({me.text})", want, cost=2, origin=me.origin))
        if kind is t.STR and want is t.MESSAGE:
            return self.message_of_text(value)
        way = ": give one of that type"
        if isinstance(kind, t.Nullable) and kind.of is want:
            way = ": it may be None; test it first"
        elif t.is_integer(kind) and isinstance(want, (t.Int, t.Kind)):
            way = f": write {want.shown}(…)" + (
                f" or truncate({want.shown}, …)"
                if isinstance(want, t.Int) and isinstance(t.base_of(kind), t.Int) and t.base_of(kind).bits > want.bits
                else ""
            )  # type: ignore[union-attr]
        elif want is t.BOOL:
            way = ": write a comparison, such as `!= 0` or `is not None`"
        raise self.refuse(node, f"{kind.shown} where {want.shown} is wanted{way}")

    def narrowing_call(self, source: t.Int, target: t.Int) -> str:
        name = f"cx_{target.key}_of_{source.key}"
        self.unit.helper(name, f"{target.key} {name}({source.key})")
        return name

    def convert_integer(self, value: Value, target: t.Int, node: ast.AST) -> Value:
        source = t.base_of(value.type)
        if source is t.LITERAL:
            return self.coerce(value, target, node)
        assert isinstance(source, t.Int)
        if value.const is not None:
            if not target.low <= value.const <= target.high:
                raise self.refuse(
                    node, f"{value.const} does not fit {target.shown}: use a wider type, or truncate({target.shown}, …)"
                )
            return self.constant(target, value.const)
        if source is target:
            return Value(value.text, target, cost=value.cost)
        if target.low <= source.low and source.high <= target.high:
            return Value(f"<{target.c}>{value.text}", target, cost=value.cost)
        return Value(f"{self.narrowing_call(source, target)}({value.text})", target, cost=max(1, value.cost))

    def conversion(self, kind: t.Type, node: ast.Call) -> Value:
        """`Gfn(x)`, `State(x)`, `ListRegister(…)`."""
        if isinstance(kind, t.BitsType):
            return self.make_bits(kind, node)
        if len(node.args) != 1 or node.keywords:
            raise self.refuse(node, f"{kind.shown}(…) converts one value: give it one")
        if isinstance(kind, t.Kind):
            value = self.expression(node.args[0], kind.base)
            if value.type is kind:
                return value
            if not t.is_integer(value.type):
                raise self.refuse(node, f"{value.type.shown} does not convert to {kind.shown}: integers do")
            if value.type is not t.LITERAL and t.base_of(value.type) is not kind.base:
                raise self.refuse(
                    node, f"{value.type.shown} is not {kind.base.key}: write {kind.shown}({kind.base.key}(…))"
                )
            value = self.coerce(
                Value(value.text, t.base_of(value.type), const=value.const, cost=value.cost), kind.base, node
            )
            return Value(value.text, kind, const=value.const, cost=value.cost)
        if isinstance(kind, t.EnumType):
            value = self.expression(node.args[0], kind.base)
            if not t.is_integer(value.type):
                raise self.refuse(node, f"{value.type.shown} does not convert to {kind.shown}: integers do")
            value = self.convert_integer(value, kind.base, node)
            if value.const is not None:
                allowed = 0
                for n in kind.members.values():
                    allowed |= n
                if (value.const & ~allowed) if kind.flags else value.const not in kind.members.values():
                    raise self.refuse(
                        node, f"{value.const} is no {kind.name}: its members are {names_of(kind.members)}"
                    )
                return self.constant(kind, value.const)
            return Value(f"{self.compiler.enum_check(self.unit, kind)}({value.text})", kind, cost=max(1, value.cost))
        if isinstance(kind, t.Int):
            return self.convert_integer(self.expression(node.args[0], kind), kind, node)
        raise self.refuse(
            node, f"{ast.unparse(node.func)}(…): {kind.shown} is no conversion: kinds, enums and Bits classes are"
        )

    def make_bits(self, kind: t.BitsType, node: ast.Call) -> Value:
        if len(node.args) > 1 or (node.args and node.keywords):
            raise self.refuse(
                node, f"a Bits value is made in one of two ways: {kind.name}(raw), or {kind.name}(field=…, …)"
            )
        if node.args:
            value = self.coerce(self.expression(node.args[0], kind.base), kind.base, node)
            return Value(value.text, kind, const=value.const, cost=value.cost)
        constant = 0
        parts: list[str] = []
        seen: set[str] = set()
        for keyword in node.keywords:
            assert keyword.arg is not None
            bits = kind.fields.get(keyword.arg)
            if bits is None or keyword.arg in seen:
                raise self.refuse(
                    node,
                    f"{kind.name} has no field `{keyword.arg}`: it has {names_of(kind.fields)}"
                    if bits is None
                    else f"`{keyword.arg}` is given twice: leave one out",
                )
            seen.add(keyword.arg)
            value = self.spill(self.coerce(self.expression(keyword.value, bits.type), bits.type, keyword.value))
            if value.const is not None:
                if not 0 <= int(value.const) <= bits.mask:
                    raise self.refuse(
                        keyword.value,
                        f"{value.const} does not fit the field `{keyword.arg}`: it has {bits.high - bits.low + 1} bits",
                    )
                constant |= int(value.const) << bits.low
            else:
                parts.append(self.packed_field(kind, bits, value))
        if not parts:
            return self.constant(kind, constant)
        if constant:
            parts.insert(0, self.number(constant, kind.base))
        return Value(f"<{kind.c}>({' | '.join(parts)})", kind, cost=1)

    def packed_field(self, kind: t.BitsType, bits: t.BitField, value: Value) -> str:
        """A field's value at its place; one that does not fit traps."""
        if value.const is not None:
            if not 0 <= int(value.const) <= bits.mask:
                raise self.module.refuse(
                    self.position[1], f"{value.const} does not fit the field: it has {bits.high - bits.low + 1} bits"
                )
            return self.number(int(value.const) << bits.low, kind.base)
        text = f"<{kind.c}>{value.text}"
        base = bits.type.base if isinstance(bits.type, (t.EnumType, t.Kind)) else bits.type
        fits = (
            bits.type is t.BOOL
            or (isinstance(base, t.Int) and base.high <= bits.mask)
            or (isinstance(bits.type, t.EnumType) and max(bits.type.members.values(), default=0) <= bits.mask)
        )
        if not fits:
            self.unit.helper("cx_field", "u64 cx_field(u64, u64)")
            text = f"<{kind.c}>cx_field(<u64>{value.text}, {self.number(bits.mask, t.U64)})"
        return f"({text} << {bits.low})" if bits.low else text


def is_struct(kind: t.Type) -> bool:
    """Whether C passes the type as a structure."""
    inner = kind.of if isinstance(kind, t.Nullable) else kind
    return (
        kind in (t.STR, t.MESSAGE)
        or isinstance(inner, (t.ProtocolType, t.Tuple))
        or (isinstance(inner, t.ClassType) and inner.by_value)
    )


__all__ = ["Calls", "ModuleReference", "is_struct"]
