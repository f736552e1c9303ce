"""Lowering assignments to locals, fields, elements, bit-fields and module variables."""

from __future__ import annotations

import ast
from collections.abc import Callable

from compiler import escape
from compiler import typesystem as t
from compiler.expressions import Evaluated
from compiler.facts import must_use
from compiler.instances import FunctionInstance
from compiler.lowering import Lowering, path_of
from compiler.program import VariableDeclaration
from compiler.typesystem import Value, names_of


class Assignments(Lowering):
    def on_Assign(self, node: ast.Assign) -> None:
        if len(node.targets) != 1:
            raise self.refuse(node, "one target at a time: `a = b = c` is two statements")
        self.assign(node.targets[0], node.value, None, node)

    def on_AnnAssign(self, node: ast.AnnAssign) -> None:
        kind = self.compiler.declarations.type_of(node.annotation, self.module, self.scope.environment)
        if node.value is None:
            raise self.refuse(node, "a local needs a value: assign it where it is declared")
        self.assign(node.target, node.value, kind, node)

    def assign(self, target: ast.expr, source: ast.expr, kind: t.Type | None, node: ast.stmt) -> None:
        if isinstance(target, ast.Name) and target.id not in self.scope.global_names:
            self.assign_local(target.id, source, kind, node)
            return
        if isinstance(target, (ast.Tuple, ast.List)):
            self.unpack(target.elts, source, node)
            return
        self.store(target, lambda want: self.expression(source, want), node)

    def unpack(self, targets: list[ast.expr], source: ast.expr, node: ast.stmt) -> None:
        """`a, b = f()`, and `a, b = b, a`: all values are known before the first is assigned."""
        if any(isinstance(target, (ast.Tuple, ast.List, ast.Starred)) for target in targets):
            raise self.refuse(node, "a tuple is unpacked into names, fields and elements: one for each value")
        if isinstance(source, ast.Tuple) and len(source.elts) == len(targets):
            wanted = [self.target_type(target) for target in targets]
            values = [v if v.const is not None else self.kept(v) for v in self.tuple_values(source, wanted)]
        else:
            value = self.spill(self.expression(source, None))
            if not isinstance(value.type, t.Tuple) or len(value.type.parts) != len(targets):
                raise self.refuse(
                    node,
                    f"{len(targets)} targets for {value.type.shown}: one for each value, `_` for what nobody wants",
                )
            values = [self.tuple_part(value, i) for i in range(len(targets))]
        for target, value in zip(targets, values, strict=True):
            if isinstance(target, ast.Name) and target.id == "_":
                self.check_taken(value, node)
            else:
                self.assign(target, self.evaluated(value, source), None, node)

    def check_taken(self, value: Value, node: ast.stmt) -> None:
        if must_use(value.type):
            raise self.refuse(node, f"the {value.type.shown} that this returns is dropped: give it a name and use it")

    def target_type(self, target: ast.expr) -> t.Type | None:
        """What a target holds already; None for a new local."""
        if isinstance(target, ast.Name) and target.id not in self.scope.global_names:
            local = self.scope.names.get(target.id)
            return None if local is None else local.type
        if isinstance(target, ast.Attribute):
            owner = self.tried(target.value)[0].type
            if isinstance(owner, t.BitsType):
                return self.bits_type(owner, target)
        if isinstance(target, ast.Subscript):
            owner = self.tried(target.value)[0].type
            if isinstance(owner, t.ClassType):
                return self.setter(owner, target).parameters[1].type
        return self.tried(target, storing=True)[0].type

    def assign_local(self, name: str, source: ast.expr, kind: t.Type | None, node: ast.stmt) -> None:
        local = self.scope.names.get(name)
        if local is not None and kind is not None and kind is not local.type:
            raise self.refuse(node, f"`{name}` already has the type {local.type.shown}: use another name")
        want = local.type if local else kind
        stack = self.stack_object(source, name, node)
        value = stack if stack is not None else self.expression(source, want)
        made = value.type
        if want is None:
            want = self.inferred(value, name, node)
        value = self.coerce(value, want, node)
        if local is None:
            local = self.new_local(name, want, node)
        if local.frozen:
            raise self.refuse(node, f"`{name}` is the loop's or the with statement's own: use another name")
        self.flow.assign(local.c, self.origin_of(value))
        self.forget(name)
        self.mark_set(name, want, node)
        self.emit(f"{local.c} = {value.text}")
        self.known_after_store(name, want, made)

    def known_after_store(self, path: str | None, kind: t.Type, made: t.Type) -> None:
        """mypy narrows on assignment: a value that cannot be null makes the target not null."""
        if (
            path is not None
            and isinstance(kind, t.Nullable)
            and not isinstance(made, t.Nullable)
            and made is not t.NULL
        ):
            self.narrow({path})

    def inferred(self, value: Value, name: str, node: ast.stmt) -> t.Type:
        if value.type is t.LITERAL:
            raise self.refuse(node, f"`{name}` needs a width: write `{name}: u32 = …`")
        if value.type is t.NULL:
            raise self.refuse(node, f"`{name}` needs a type: write `{name}: T | None = None`")
        if isinstance(value.type, t.Array):
            raise self.refuse(node, "an array is not copied: use it where it stands")
        if isinstance(value.type, t.ClassType) and value.type.instance.info.shape == "guard":
            raise self.refuse(node, f"a {value.type.shown} belongs to a `with` statement: `with … as {name}:`")
        return value.type

    def stack_object(self, source: ast.expr, name: str, node: ast.stmt) -> Value | None:
        """`x = Request()`: an object on the stack, zeroed each time."""
        found = self.class_called(source)
        if found is None or found.type.by_value:
            return None
        if isinstance(source, ast.Call) and (source.args or source.keywords):
            raise self.refuse(node, f"`{found.shown}(…)` takes no arguments: call its `init` afterwards")
        storage = self.fresh(name)
        self.unit.use_struct(found)
        self.locals[storage] = f"{found.c} {storage}"
        self.unit.helper("cx_zero", "void cx_zero(void*, u64)")
        self.emit(f"cx_zero(&{storage}, sizeof({found.c}))")
        return Value(f"&{storage}", found.type, origin=escape.stack(storage))

    def check_replaceable(self, place: Value, target: ast.expr) -> None:
        owner = self.tried(target.value)[0].type if isinstance(target, ast.Attribute) else None
        if isinstance(owner, t.ClassType) and owner.instance.info.shape == "value":
            raise self.refuse(target, f"the fields of a {owner.shown} are never assigned: make a new {owner.shown}(…)")
        if place.place or isinstance(place.type, (t.Array, t.Atomic)):
            shown = ast.unparse(target)
            raise self.refuse(
                target, f"`{shown}` lies inside its owner and cannot be replaced: call a method that sets it up"
            )

    def steady(self, place: Value, node: ast.expr) -> Value:
        """A place that is read and written: found once."""
        return place if is_steady(node) else self.pin(place)

    def store(self, target: ast.expr, make: Callable[[t.Type], Value], node: ast.stmt) -> None:
        """Stores into a field, an element, a module variable or a bit-field: the value is made before the place."""
        if isinstance(target, (ast.Attribute, ast.Subscript)):
            owner, acts = self.tried(target.value)
            if isinstance(target, ast.Attribute) and isinstance(owner.type, t.BitsType):
                value = self.coerce(made := make(self.bits_type(owner.type, target)), made.type, node)
                value = self.spill(value) if acts else value
                owner = self.steady(self.expression(target.value, None), target.value)
                self.store_bit_field(owner, target, value, node)
                return
            if isinstance(target, ast.Subscript) and isinstance(owner.type, t.ClassType):
                self.store_item(target, make, node)
                return
        elif isinstance(target, ast.Name):
            self.check_global_assignable(target, node)
        tried, acts = self.tried(target, storing=True)
        kind = tried.type
        self.check_replaceable(tried, target)
        made = make(kind)
        value = self.coerce(made, kind, node)
        if acts or (value.cost == 2 and not is_steady(target)):
            value = self.spill(value)
        place = self.expression(target, None, storing=True)
        self.forget(path_of(target))
        self.flow.stored.append((self.origin_of(value), self.home_of(place), self.where(node)))
        self.emit(f"{place.text} = {value.text}")
        self.known_after_store(path_of(target), kind, made.type)

    def check_global_assignable(self, target: ast.Name, node: ast.stmt) -> None:
        found = self.compiler.program.look_up(self.module, target.id)
        if not isinstance(found, VariableDeclaration):
            raise self.refuse(node, f"`global {target.id}` names no module variable: declare it at module level")
        variable = self.compiler.globals.of(found, node)
        if (
            variable.constant is not None
            or variable.read_only
            or isinstance(variable.type, (t.Embedded, t.Array, t.Atomic, t.RegisterType))
        ):
            raise self.refuse(
                node,
                f"`{target.id}` is a constant or an object and cannot be replaced: assign its fields",
            )

    def setter(self, owner: t.ClassType, node: ast.AST) -> FunctionInstance:
        setter = owner.instance.method("__setitem__")
        if setter is None or len(setter.parameters) != 2:
            raise self.refuse(node, f"{owner.shown} has no `__setitem__`: declare one, or assign a field")
        return setter

    def store_item(self, target: ast.Subscript, make: Callable[[t.Type], Value], node: ast.stmt) -> None:
        setter = self.setter(self.tried(target.value)[0].type, node)  # type: ignore[arg-type]
        index_type, value_type = (p.type for p in setter.parameters)
        value = self.spill(self.coerce(make(value_type), value_type, node))
        owner = self.spill(self.reference(self.expression(target.value, None), node))
        index = self.coerce(self.expression(target.slice, index_type), index_type, node)
        self.emit(self.invoke(setter, owner, [index, value], node).text)

    def bits_type(self, kind: t.BitsType, target: ast.Attribute) -> t.Type:
        if target.attr == "raw":
            return kind.base
        if target.attr not in kind.fields:
            raise self.refuse(target, f"{kind.name} has no field `{target.attr}`: it has raw, {names_of(kind.fields)}")
        return kind.fields[target.attr].type

    def store_bit_field(self, owner: Value, target: ast.Attribute, value: Value, node: ast.stmt) -> None:
        kind = owner.type
        assert isinstance(kind, t.BitsType)
        if target.attr == "raw":
            self.emit(f"{owner.text} = {self.coerce(value, kind.base, node).text}")
            return
        bits = kind.fields[target.attr]
        packed = self.packed_field(kind, bits, self.coerce(value, bits.type, node))
        clear = kind.base.high & ~(bits.mask << bits.low)
        self.emit(f"{owner.text} = <{kind.c}>(({owner.text} & {self.number(clear, kind.base)}) | {packed})")

    def on_AugAssign(self, node: ast.AugAssign) -> None:
        target = node.target
        if isinstance(node.target, ast.Name) and node.target.id not in self.scope.global_names:
            local = self.scope.names.get(node.target.id)
            if local is None:
                raise self.refuse(node, f"`{node.target.id}` has no value yet: assign it first")
            if local.frozen:
                raise self.refuse(
                    node, f"`{node.target.id}` is the loop's or the with statement's own: use another name"
                )
            value = self.augmented(node, self.expression(node.target, None), local.type)
            self.emit(f"{local.c} = {value.text}")
            return
        if isinstance(target, (ast.Attribute, ast.Subscript)):
            kind = self.tried(target.value)[0].type
            if isinstance(target, ast.Attribute) and isinstance(kind, t.BitsType):
                owner = self.steady(self.expression(target.value, None), target.value)
                load = self.expression(self.evaluated(owner, target.value, target.attr), None)
                value = self.augmented(node, load, self.bits_type(kind, target))
                self.store_bit_field(owner, target, value, node)
                return
            if isinstance(target, ast.Subscript) and isinstance(kind, t.ClassType):
                self.augment_item(node, target, kind)
                return
        elif isinstance(target, ast.Name):
            self.check_global_assignable(target, node)
        place = self.expression(target, None, storing=True)
        self.check_replaceable(place, target)
        place = self.steady(place, target)
        value = self.augmented(node, place, place.type)
        self.emit(f"{place.text} = {value.text}")

    def augment_item(self, node: ast.AugAssign, target: ast.Subscript, kind: t.ClassType) -> None:
        getter, setter = kind.instance.method("__getitem__"), self.setter(kind, node)
        if getter is None or len(getter.parameters) != 1:
            raise self.refuse(node, f"{kind.shown} has no `__getitem__`: declare one")
        index_type, value_type = (p.type for p in setter.parameters)
        owner = self.spill(self.reference(self.expression(target.value, None), node))
        index = self.spill(self.coerce(self.expression(target.slice, index_type), index_type, node))
        value = self.augmented(node, self.invoke(getter, owner, [index], node), value_type)
        self.emit(self.invoke(setter, owner, [index, value], node).text)

    def evaluated(self, value: Value, source: ast.expr, attr: str | None = None) -> ast.expr:
        """An operand whose value is known, or a part of it."""
        made: ast.expr = Evaluated(source=source)
        made.value = value  # type: ignore[attr-defined]
        ast.copy_location(made, source)
        return made if attr is None else ast.copy_location(ast.Attribute(made, attr, ast.Load()), source)

    def augmented(self, node: ast.AugAssign, load: Value, want: t.Type) -> Value:
        """The operation of `x op= y` on a value of x that is read before y is evaluated."""
        operation = ast.BinOp(self.evaluated(load, node.target), node.op, node.value)
        value = self.expression(ast.copy_location(operation, node), want)
        if isinstance(want, t.Kind) and value.type is want.base:
            value = Value(value.text, want, cost=value.cost)
        return self.coerce(value, want, node)


def is_steady(node: ast.expr) -> bool:
    """Whether a place is the same whenever it is named in a statement: a variable, or a field of one."""
    path = path_of(node)
    return path is not None and path.count(".") < 2
