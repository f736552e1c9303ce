"""Lowering statements."""

from __future__ import annotations

import ast
from collections.abc import Callable

from compiler import escape
from compiler import typesystem as t
from compiler.expressions import Evaluated
from compiler.facts import DONE, NOT_NULL, SET, Fact, must_use
from compiler.instances import FunctionInstance
from compiler.lowering import Frame, Local, Lowering, path_of
from compiler.program import VariableDeclaration
from compiler.typesystem import Value, names_of


class Statements(Lowering):
    def lower_block(self, body: list[ast.stmt]) -> bool:
        """Lowers statements in order; True when control does not come out at the end."""
        for node in body:
            self.at(node)
            if self.statement(node):
                return True
        return False

    def statement(self, node: ast.stmt) -> bool:
        method = getattr(self, "on_" + type(node).__name__, None)
        if method is None:
            raise self.refuse(
                node, f"{type(node).__name__.lower()} is not in the language; docs/language.md lists what is"
            )
        return bool(method(node))

    def on_Pass(self, node: ast.Pass) -> None:
        pass

    def on_Global(self, node: ast.Global) -> None:
        self.scope.global_names |= set(node.names)

    def on_Expr(self, node: ast.Expr) -> bool:
        if isinstance(node.value, ast.Constant):
            return False  # a docstring, or `...`
        if isinstance(node.value, ast.Yield):
            return self.on_yield(node.value)
        if not isinstance(node.value, ast.Call):
            raise self.refuse(node, "an expression whose value nobody takes: assign it or leave it out")
        value = self.call(node.value, None, statement=True)
        if isinstance(value.type, t.ClassType) and value.type.instance.info.shape == "guard":
            raise self.refuse(node, f"the {value.type.shown} that this returns has to be used: `with … as name:`")
        if must_use(value.type):
            raise self.refuse(
                node, f"the {value.type.shown} that this returns is dropped: call a method of it, keep it or return it"
            )
        if isinstance(node.value.func, ast.Name) and node.value.func.id == "narrow" and value.type is t.BOOL:
            raise self.refuse(node, "`narrow` says whether every value fits: `if not narrow(x, into):`")
        if value.text and value.cost == 2:
            self.emit(value.text)
        return value.type is t.NEVER

    def on_yield(self, node: ast.Yield) -> bool:
        if self.scope.yielded is None:
            raise self.refuse(node, "`yield` outside an iterator: a generator is expanded where `for` uses it")
        element = self.scope.function.element
        assert element is not None
        if node.value is None:
            raise self.refuse(node, "`yield` needs a value: an iterator hands one to each round")
        self.scope.yielded(self.coerce(self.expression(node.value, element), element, node))
        return False

    # Assignments

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

    # Choices

    def on_If(self, node: ast.If) -> bool:
        condition = self.coerce(self.expression(node.test, t.BOOL), t.BOOL, node)
        yes, no = self.narrowings(node.test)
        if condition.const is not None:
            self.narrow(yes if condition.const else no)
            return self.lower_block(node.body if condition.const else node.orelse)
        before = set(self.known)
        with self.block(f"if {condition.text}:"):
            self.narrow(yes)
            body_exits = self.lower_block(node.body)
        after_body = self.known
        self.known = set(before)
        self.narrow(no)
        else_exits = False
        if node.orelse:
            with self.block("else:"):
                else_exits = self.lower_block(node.orelse)
        if body_exits:
            return else_exits
        self.known = after_body if else_exits else after_body & self.known
        return False

    def on_Match(self, node: ast.Match) -> bool:
        subject = self.spill(self.expression(node.subject, None))
        if subject.type is t.LITERAL or not isinstance(subject.type, (t.Int, t.Kind, t.EnumType)):
            raise self.refuse(node, "`match` takes an integer or an enum member: write `if` for others")
        before = set(self.known)
        results: list[set[Fact]] = []
        covered: set[int] = set()
        everything = False
        opened = 0
        for case in node.cases:
            if case.guard is not None:
                raise self.refuse(case.pattern, "a case with `if`: put the condition inside")
            numbers = self.case_numbers(case.pattern, subject)
            if numbers is not None and (twice := covered & set(numbers)):
                raise self.refuse(case.pattern, f"{twice.pop()} is matched twice: leave one out")
            everything = numbers is None
            if everything and case is not node.cases[-1]:
                raise self.refuse(node.cases[-1].pattern, "no case can follow `case _`: put it last")
            self.known = set(before)
            self.at(case.pattern)
            if numbers is None:
                if not self.lower_block(case.body):
                    results.append(self.known)
                break
            covered |= set(numbers)
            test = " or ".join(f"{subject.text} == {self.number(n, subject.type)}" for n in numbers)
            with self.block(f"if {test}:"):
                if not self.lower_block(case.body):
                    results.append(self.known)
            self.emit("else:")
            self.depth += 1
            opened += 1
            start = len(self.lines)
        closed = isinstance(subject.type, t.EnumType) and not subject.type.flags
        if closed and not everything and covered >= set(subject.type.members.values()):
            everything = True
            self.unit.helper("cx_trap", "void cx_trap()")
            self.emit("cx_trap()")
        elif opened and len(self.lines) == start:
            self.emit("pass")
        self.depth -= opened
        if not everything:
            results.append(before)
        self.known = set.intersection(*results) if results else before
        return not results

    def case_numbers(self, pattern: ast.pattern, subject: Value) -> list[int] | None:
        """The numbers that a case matches; None for `_`."""
        match pattern:
            case ast.MatchAs(pattern=None, name=None):
                return None
            case ast.MatchOr(patterns=patterns):
                alternatives = [self.case_numbers(p, subject) for p in patterns]
                return None if None in alternatives else [n for numbers in alternatives for n in numbers or []]
            case ast.MatchValue(value=value):
                found = self.coerce(self.expression(value, subject.type), t.base_of(subject.type), pattern)
                if found.const is None:
                    raise self.refuse(
                        pattern, "a case is a constant or an enum member: write `if` for what is computed"
                    )
                return [found.const]
        raise self.refuse(
            pattern, "a case is a constant, an enum member, alternatives with `|`, or `_`: write `if` for others"
        )

    # Ways out

    def on_Return(self, node: ast.Return) -> bool:
        for frame in reversed(self.frames):
            if frame.shape == "expansion" and frame.scope is self.scope:
                if node.value is not None:
                    raise self.refuse(node, "an iterator returns nothing: `return` alone ends it")
                self.unwind(frame)
                self.goto(frame.label)
                return True
        result = self.function.result
        if node.value is None or result is t.VOID:
            if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
                raise self.refuse(node, "this function returns nothing: annotate its result, or write `return` alone")
            if result is not t.VOID:
                raise self.refuse(node, f"this function returns {result.shown}: give the value")
            self.check_all_done(node, "left")
            self.unwind(None)
            self.emit(self.success(None))
            return True
        if result is t.NEVER:
            raise self.refuse(node, "a `-> Never` function does not return: end it with a call that does not either")
        made = self.expression(node.value, result)
        value = self.coerce(made, result, node)
        self.flow.returned.append((self.origin_of(value), self.where(node)))
        self.check_all_done(node, "left")
        if any(frame.release for frame in self.frames) and value.const is None:
            name = self.temporary(result)
            self.emit(f"{name} = {value.text}")
            value = Value(name, result)
        self.unwind(None)
        self.emit(self.success(value.text))
        return True

    def on_Break(self, node: ast.Break) -> bool:
        frame = self.loop(node)
        frame.passed.breaks.append(set(self.known))
        self.unwind(frame)
        frame.used.add("break")
        self.goto(frame.label)
        return True

    def on_Continue(self, node: ast.Continue) -> bool:
        frame = self.loop(node)
        frame.passed.rounds.append(set(self.known))
        self.unwind(frame.within or frame)
        frame.used.add("continue")
        self.goto(frame.again)
        return True

    def loop(self, node: ast.stmt) -> Frame:
        for frame in reversed(self.frames):
            if frame.shape == "loop" and frame.scope is self.scope:
                return frame
        raise self.refuse(node, "`break` and `continue` belong in a loop: write `return` to leave the function")

    def on_Raise(self, node: ast.Raise) -> bool:
        if node.exc is None:
            for frame in reversed(self.frames):
                if frame.shape == "handler" and frame.scope is self.scope:
                    self.raise_error(frame.error, node)
                    return True
            raise self.refuse(
                node, "`raise` alone belongs in an except block: elsewhere name the error, `raise Errno.EINVAL`"
            )
        named = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        if isinstance(named, ast.Name) and named.id not in self.scope.names and self.class_or_module(named) is None:
            raise self.refuse(node, f"only an Errno is raised, not {named.id}: `raise Errno.EINVAL`")
        value = self.expression(node.exc, t.ERRNO)
        if value.type is not t.ERRNO:
            raise self.refuse(node, "only an Errno is raised: `raise Errno.EINVAL`")
        self.raise_error(self.spill(value).text, node)
        return True

    def on_Try(self, node: ast.Try) -> bool:
        if node.finalbody or node.orelse or len(node.handlers) != 1:
            raise self.refuse(
                node, "a try has one `except Errno as e:` and nothing else; what must be released is a guard: `with`"
            )
        handler = node.handlers[0]
        if not isinstance(handler.type, ast.Name) or handler.type.id != "Errno":
            raise self.refuse(handler, "write `except Errno as e:`: nothing else is raised")
        error = self.raw_temporary("i32")
        frame = Frame(self.scope, "try", label=self.label(), error=error)
        end = self.label()
        self.forget_assigned(node.body)
        before = set(self.known)
        self.frames.append(frame)
        body_exits = self.lower_block(node.body)
        self.frames.pop()
        after_body = self.known
        if not body_exits:
            self.goto(end)
        self.put_label(frame.label)
        raised = frame.passed.raises
        self.known = {f for f in before if f[1] != DONE or all(f in other for other in raised)}
        if not body_exits:
            self.known = {f for f in self.known if f[1] != NOT_NULL or f in after_body}
        if handler.name is not None:
            self.scope.names[handler.name] = Local(error, t.ERRNO, frozen=True)
            self.mark_set(handler.name, t.ERRNO, handler)
        self.frames.append(Frame(self.scope, "handler", error=error))
        handler_exits = self.lower_block(handler.body)
        self.frames.pop()
        self.put_label(end)
        if handler.name is not None:
            self.known.discard((self.scope.number, SET, handler.name))
        if handler_exits:
            self.known = after_body
        elif not body_exits:
            self.known = self.known & after_body
        return body_exits and handler_exits

    def on_Assert(self, node: ast.Assert) -> bool:
        condition = self.coerce(self.expression(node.test, t.BOOL), t.BOOL, node)
        said = ""
        if node.msg is not None:
            if not (isinstance(node.msg, ast.Constant) and isinstance(node.msg.value, str)):
                raise self.refuse(node, 'an assertion\'s text is constant: use panic(f"…") for values')
            said = node.msg.value
        self.narrow(self.narrowings(node.test)[0])
        if condition.const is True:
            return False
        text = self.unit.literal(f"{self.module.shown}:{node.lineno}: {said or ast.unparse(node.test)}")
        fail = self.compiler.assertion_handler(self)
        if condition.const is False:
            self.emit(f"{fail}({text})")
            return True
        with self.block(f"if not ({condition.text}):"):
            self.emit(f"{fail}({text})")
        return False

    # Guards

    def on_With(self, node: ast.With) -> bool:
        depth = len(self.frames)
        for item in node.items:
            self.enter(item, node)
        exits = self.lower_block(node.body)
        while len(self.frames) > depth:
            frame = self.frames.pop()
            if not exits:
                assert frame.release is not None
                frame.release()
        return exits

    def enter(self, item: ast.withitem, node: ast.With) -> None:
        subject = self.expression(item.context_expr, None)
        if not isinstance(subject.type, t.ClassType):
            raise self.refuse(
                node,
                f"`with` takes a lock or a guard, not {subject.type.shown}: its class has `__enter__` and `__exit__`",
            )
        instance = subject.type.instance
        enter, leave = instance.method("__enter__"), instance.method("__exit__")
        if enter is None or leave is None:
            raise self.refuse(node, f"{instance.shown} is no guard: declare `__enter__` and `__exit__`")
        if subject.type.by_value:
            name = self.temporary(subject.type)
            self.emit(f"{name} = {subject.text}")
            self.flow.assign(name, self.origin_of(subject))
            home = escape.stack(f"record {name}")
            self.flow.stored.append((self.origin_of(subject), home, self.where(node)))
            held = Value(name, subject.type, place=True, origin=escape.inside(home), home=home)
        else:
            held = self.kept(self.reference(subject, node))
        me = self.reference(held, node)
        result = self.invoke(enter, me, [], node)
        if item.optional_vars is None:
            if result.cost == 2:
                self.emit(result.text)
        elif isinstance(item.optional_vars, ast.Name):
            self.bind_guard(item.optional_vars.id, held, result, node)
        else:
            raise self.refuse(node, "a guard is bound to a name: `with … as name:`")
        scope = self.scope

        def release() -> None:
            saved, self.scope = self.scope, scope
            self.emit(self.invoke(leave, me, [], node).text)
            self.scope = saved

        self.frames.append(Frame(self.scope, "guard", release=release))

    def bind_guard(self, name: str, held: Value, result: Value, node: ast.With) -> None:
        """`as name`: a guard that enters as itself is named in place, so that its methods may change it."""
        if result.type is held.type and held.place and result.type.by_value:  # type: ignore[union-attr]
            if result.cost == 2:
                self.emit(result.text)
            self.scope.names[name] = Local(
                held.text, held.type, place=True, frozen=True, origin=held.origin, home=held.home
            )
            self.mark_set(name, held.type, node)
            return
        self.forget(name)
        local = self.scope.names.get(name)
        if local is None or local.type is not result.type:
            local = self.new_local(name, result.type, node)
        self.flow.assign(local.c, self.origin_of(result))
        self.emit(f"{local.c} = {result.text}")
        self.mark_set(name, result.type, node)


def is_steady(node: ast.expr) -> bool:
    """Whether a place is the same whenever it is named in a statement: a variable, or a field of one."""
    path = path_of(node)
    return path is not None and path.count(".") < 2


__all__ = ["Statements"]
