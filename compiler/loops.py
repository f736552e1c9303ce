"""Lowering loops. Each has a bound: a constant, an asserted maximum, what it walks over, or a written reason."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from compiler import typesystem as t
from compiler.escape import EMPTY, inside
from compiler.facts import SET, Fact, parts_of
from compiler.instances import FunctionInstance
from compiler.lowering import Frame, Local, Lowering, Scope
from compiler.program import Builtin
from compiler.typesystem import Value
from hv.lang.errno import NUMBERS


class Loops(Lowering):
    def on_While(self, node: ast.While) -> bool:
        function = self.scope.function
        if "unbounded" not in function.decorators:
            raise self.refuse(
                node,
                "`while` has no bound: use `for … in bounded(n, MAX)`, an iterator, "
                'or mark the function @unbounded("why it ends")',
            )
        reason = function.decorators["unbounded"]
        if not (
            isinstance(reason, ast.Call)
            and reason.args
            and isinstance(reason.args[0], ast.Constant)
            and isinstance(reason.args[0].value, str)
        ):
            raise self.refuse(reason, '@unbounded needs the reason: @unbounded("why that ends or must not")')
        if node.orelse:
            raise self.refuse(node, "a loop has no `else`: set a local before `break`")
        self.forget_assigned(node.body)
        before = set(self.known)
        frame = Frame(self.scope, "loop", label=self.label(), again=self.label())
        passed = frame.passed
        yes, no = self.narrowings(node.test)
        endless = False
        with self.block("while True:"):
            condition = self.coerce(self.expression(node.test, t.BOOL), t.BOOL, node)
            if condition.const is True:
                endless = True
            else:
                with self.block(f"if not ({condition.text}):"):
                    self.emit("break")
            self.narrow(yes)
            self.frames.append(frame)
            if not self.lower_block(node.body):
                self.end_round(node.body[-1], before, passed)
            self.frames.pop()
            if "continue" in frame.used:
                self.put_label(frame.again)
        self.after_loop(before, passed, certain=False, endless=endless)
        if "break" in frame.used:
            self.put_label(frame.label)
        elif not endless:
            self.narrow(no)
        return endless and "break" not in frame.used

    def on_For(self, node: ast.For) -> bool:
        if node.orelse:
            raise self.refuse(node, "a loop has no `else`: set a local before `break`")
        self.forget_assigned([node])
        subject = node.iter
        if isinstance(subject, ast.Call) and isinstance(subject.func, ast.Name):
            found = self.compiler.program.look_up(self.module, subject.func.id)
            word = found.name if isinstance(found, Builtin) else None
            if word in ("range", "bounded"):
                self.counted(node, subject, word)
                return False
            if word == "preemptible":
                self.preemptible(node, subject)
                return False
            if word == "enumerate" and len(subject.args) == 1:
                self.over(node, self.expression(subject.args[0], None), numbered=True)
                return False
        generator = self.generator_called(subject)
        if generator is not None:
            self.expand(node, *generator)
        else:
            self.over(node, self.expression(subject, None), numbered=False)
        return False

    def counted(self, node: ast.For, call: ast.Call, word: str) -> None:
        values: list[Value] = []
        for argument in call.args:
            values, value = self.then(values, partial(self.expression, argument, None))
            values = [*values, value]
        if word == "bounded":
            if len(values) not in (2, 3):
                raise self.refuse(
                    node, "bounded takes two or three numbers: bounded(n, MAX) or bounded(start, stop, MAX)"
                )
            limit = values.pop()
            if limit.const is None:
                raise self.refuse(node, "the last argument of bounded(…) is the maximum, a constant: declare it Final")
            start = values[0] if len(values) == 2 else Value("0", t.LITERAL, const=0)
            stop, step = values[-1], 1
        else:
            if any(v.const is None for v in values) or not values:
                raise self.refuse(node, "range(…) of what is not constant has no bound: write bounded(n, MAX)")
            start = values[0] if len(values) > 1 else Value("0", t.LITERAL, const=0)
            stop = values[1] if len(values) > 1 else values[0]
            step = values[2].const if len(values) > 2 else 1
            limit = stop
        kind = next((v.type for v in (stop, start) if v.type is not t.LITERAL), t.I32 if step < 0 else t.U32)
        if not isinstance(kind, (t.Int, t.Kind)):
            raise self.refuse(node, f"a loop counts integers, not {kind.shown}: convert it first")
        if step == 0:
            raise self.refuse(node, "a step of zero: the loop would not end")
        if word == "range":
            counted = range(start.const, stop.const, step)
            base = t.base_of(kind)
            if counted and not base.low <= counted[-1] + step <= base.high:  # type: ignore[union-attr]
                raise self.refuse(node, f"the step after the last passes the range of {kind.shown}: use a wider type")
        first = self.kept(self.coerce(start, t.base_of(kind), node))
        last = self.kept(self.coerce(stop, t.base_of(kind), node))
        if word == "bounded":
            count = last.text if start.const == 0 else f"({last.text} - {first.text})"
            check = f"{count} > {self.number(limit.const, t.base_of(kind))}"
            if start.const != 0:
                check = f"{last.text} > {first.text} and {check}"
            with self.block(f"if {check}:"):
                text = self.unit.literal(
                    f"{self.module.shown}:{node.lineno}: a loop is over its bound of {limit.const}"
                )
                self.emit(f"{self.compiler.assertion_handler(self)}({text})")
        if not isinstance(node.target, ast.Name):
            raise self.refuse(node, "this loop yields one number: give it one name")
        counter = self.temporary(kind)
        self.emit(f"{counter} = {first.text}")
        target = self.loop_name(node.target.id, kind, node)
        certain = word == "range" and len(range(start.const, stop.const, step)) > 0
        with self.block(f"while {counter} {'<' if step > 0 else '>'} {last.text}:"):
            self.emit(f"{target} = {counter}")
            frame = self.body(node, certain)
            if "continue" in frame.used:
                self.put_label(frame.again)
            sign = "+" if step > 0 else "-"
            self.emit(f"{counter} = <{kind.c}>({counter} {sign} {self.number(abs(step), t.base_of(kind))})")
        if "break" in frame.used:
            self.put_label(frame.label)

    def preemptible(self, node: ast.For, call: ast.Call) -> None:
        """`for i in preemptible(range(request.next, stop), request)`: a loop that can leave with ERESTART between two
        rounds, having kept the number of the next one in `request.next`. Called again, the function goes on there."""
        match call:
            case ast.Call(
                args=[
                    ast.Call(func=ast.Name(id="range"), args=[ast.Attribute(value=ast.Name(id=owner)) as start, stop]),
                    ast.Name(id=saved),
                ],
                keywords=[],
            ) if owner == saved:
                pass
            case _:
                raise self.refuse(
                    node,
                    "a preemptible loop counts from a field of the object that keeps its progress: "
                    "`for i in preemptible(range(request.next, stop), request)`",
                )
        if not isinstance(node.target, ast.Name):
            raise self.refuse(node, "this loop yields one number: give it one name")
        if not self.function.raises or self.scope.outer is not None:
            raise self.refuse(
                node, "a preemptible loop leaves with Errno.ERESTART: it belongs in a function marked @raises"
            )
        policy = self.compiler.preemption_policy(self.module, node)
        place = self.expression(start, None, storing=True)
        kind = place.type
        self.check_replaceable(place, start)
        if not isinstance(kind, (t.Int, t.Kind)):
            raise self.refuse(node, f"a loop counts integers, not {kind.shown}: convert it first")
        progress = self.pin(place)
        base = t.base_of(kind)
        last = self.kept(self.coerce(self.coerced_base(self.expression(stop, base)), base, node))
        counter = self.temporary(kind)
        self.emit(f"{counter} = {progress.text}")
        target = self.loop_name(node.target.id, kind, node)

        def save() -> None:
            self.emit(f"{progress.text} = {counter}")

        with self.block(f"while {counter} < {last.text}:"):
            self.emit(f"{target} = {counter}")
            frame = self.body(node, certain=False, save=save)
            if "continue" in frame.used:
                self.put_label(frame.again)
            self.emit(f"{counter} = <{kind.c}>({counter} + {self.number(1, base)})")
            self.unit.use_function(policy)
            self.compiler.note_call(self.function, policy)
            with self.block(f"if {counter} < {last.text} and {policy.c}():"):
                save()
                self.raise_error(str(NUMBERS["ERESTART"]), node)
        if "break" in frame.used:
            self.put_label(frame.label)
        self.emit(f"{progress.text} = (<{kind.c}>{counter} if {counter} > {last.text} else <{kind.c}>{last.text})")

    def coerced_base(self, value: Value) -> Value:
        """A kind as the integer that it is made of."""
        return replace(value, type=t.base_of(value.type))

    def loop_name(self, name: str, kind: t.Type, node: ast.For) -> str:
        if name == "_":
            return self.temporary(kind)
        local = self.scope.names.get(name)
        if local is None or local.type is not kind:
            local = self.new_local(name, kind, node)
        return local.c

    def body(self, node: ast.For, certain: bool, save: Callable[[], None] | None = None) -> Frame:
        """A loop's body. `certain`: it runs once at least."""
        frame = Frame(self.scope, "loop", label=self.label(), again=self.label(), save=save)
        before = set(self.known)
        self.frames.append(frame)
        self.set_targets(node)
        if not self.lower_block(node.body):
            self.end_round(node.body[-1], before, frame.passed)
        self.frames.pop()
        self.after_loop(before, frame.passed, certain)
        return frame

    def set_targets(self, node: ast.For) -> None:
        for target in parts_of(node.target):
            if isinstance(target, ast.Name) and target.id != "_":
                self.mark_set(target.id, self.scope.names[target.id].type, node)

    def over(self, node: ast.For, subject: Value, numbered: bool) -> None:
        """Over an array's elements, a registry's entries, or what a class's `__iter__` yields."""
        if isinstance(subject.type, t.ClassType):
            method = subject.type.instance.method("__iter__")
            if method is None or method.element is None or numbered:
                raise self.refuse(node, f"{subject.type.shown} cannot be looped over: it has no `__iter__` that yields")
            self.expand(node, method, self.reference(subject, node), [])
            return
        if not isinstance(subject.type, t.Array):
            raise self.refuse(
                node, f"cannot loop over {subject.type.shown}: arrays, registries, counts and iterators can be"
            )
        subject = self.spill(subject)
        names = node.target.elts if isinstance(node.target, ast.Tuple) else [node.target]
        if len(names) != (2 if numbered else 1) or not all(isinstance(n, ast.Name) for n in names):
            raise self.refuse(node, "a loop over elements has one name: `for x in …`, or `for i, x in enumerate(…)`")
        counter = self.temporary(t.U32)
        self.emit(f"{counter} = 0")
        element = subject.type.element
        kind = element.of if isinstance(element, (t.Embedded, t.Atomic)) else element
        if isinstance(element, t.Atomic):
            raise self.refuse(node, "a loop cannot hold an atomic: reach each by its index")
        target = self.loop_name(names[-1].id, kind, node)  # type: ignore[attr-defined]
        index = self.loop_name(names[0].id, t.U32, node) if numbered else ""  # type: ignore[attr-defined]
        with self.block(f"while {counter} < {subject.type.length}:"):
            take = "&" if isinstance(element, t.Embedded) else ""
            self.flow.assign(target, self.home_of(subject) if take else self.origin_of(subject))
            self.emit(f"{target} = {take}{subject.text}[{counter}]")
            if numbered:
                self.emit(f"{index} = {counter}")
            frame = self.body(node, certain=subject.type.length > 0)
            if "continue" in frame.used:
                self.put_label(frame.again)
            self.emit(f"{counter} = {counter} + 1")
        if "break" in frame.used:
            self.put_label(frame.label)

    # Iterators

    def generator_called(self, node: ast.expr) -> tuple[FunctionInstance, Value | None, list[Value]] | None:
        """`queue.pending(x)` where the method is a generator: the method, its self and its arguments."""
        if not isinstance(node, ast.Call):
            return None
        before = len(self.lines)
        target = self.callee(node.func)
        if target is None or target[0].element is None:
            del self.lines[before:]
            return None
        function, me = target
        if me is not None:
            me = self.spill(self.reference(me, node))
        return function, me, self.match_arguments(function, node)

    def expand(self, node: ast.For, function: FunctionInstance, me: Value | None, arguments: list[Value]) -> None:
        """Lowers an iterator's body here, with the loop's body at its `yield`."""
        if self.scope.expands(function):
            raise self.refuse(
                node, f"`{function.node.name}` would be expanded inside itself: loop over something else here"
            )
        assert function.element is not None
        yields = [n for n in ast.walk(function.node) if isinstance(n, ast.Yield)]
        if len(yields) != 1:
            raise function.module.refuse(function.node, "an iterator has exactly one `yield`: compute the value first")
        targets = self.targets(node, function.element)
        caller = self.scope
        before = set(self.known)
        outer_frame = Frame(caller, "loop", label=self.label(), again=self.label())
        self.frames.append(outer_frame)
        inner = Scope(function, caller, self.fresh("x") + "_")
        if me is not None:
            if isinstance(me.type, t.ClassType) and me.type.by_value:
                record = self.temporary(me.type)
                self.emit(f"{record} = ({me.text})[0]")
                me = replace(me, text=record, cost=0, origin=inside(me.origin), home=EMPTY)
            else:
                me = self.kept(me)
            inner.names["self"] = Local(
                me.text, me.type, place=me.place, frozen=True, origin=self.origin_of(me), home=me.home
            )
        for parameter, value in zip(function.parameters, arguments, strict=True):
            name = self.declare(inner.prefix + parameter.name, parameter.type)
            self.flow.assign(name, self.origin_of(value))
            self.emit(f"{name} = {value.text}")
            inner.names[parameter.name] = Local(name, parameter.type)
        self.begin_scope(inner)
        self.known |= {(inner.number, SET, name) for name in inner.names}
        expansion = Frame(inner, "expansion", label=self.label())
        inner.yielded = self.at_yield(node, caller, targets, outer_frame, before)
        self.frames.append(expansion)
        self.scope = inner
        self.compiler.note_call(self.function, function)
        self.lower_block(function.node.body)
        self.scope = caller
        self.frames.pop()
        self.frames.pop()
        self.after_loop(before, outer_frame.passed, certain=False)
        self.at(node)
        self.put_label(expansion.label)
        if "break" in outer_frame.used:
            self.put_label(outer_frame.label)

    def targets(self, node: ast.For, element: t.Type) -> list[str]:
        """The C names of what a loop over an iterator names: one, or one for each part of a tuple."""
        names = parts_of(node.target)
        kinds = (
            list(element.parts) if isinstance(element, t.Tuple) and isinstance(node.target, ast.Tuple) else [element]
        )
        if len(names) != len(kinds) or not all(isinstance(n, ast.Name) for n in names):
            raise self.refuse(node, f"this loop yields {element.shown}: give it one name for each value")
        return [self.loop_name(n.id, kind, node) for n, kind in zip(names, kinds, strict=True)]  # type: ignore[attr-defined]

    def at_yield(
        self, node: ast.For, caller: Scope, targets: list[str], frame: Frame, before: set[Fact]
    ) -> Callable[[Value], None]:
        def run(value: Value) -> None:
            here, self.scope = self.scope, caller
            position = self.position
            self.at(node)
            parts = [value]
            if len(targets) > 1:
                value = self.spill(value)
                parts = [self.tuple_part(value, i) for i in range(len(targets))]
            for target, part in zip(targets, parts, strict=True):
                self.flow.assign(target, self.origin_of(part))
                self.emit(f"{target} = {part.text}")
            again = frame.again
            frame.used.discard("continue")
            frame.within = self.frames[-1]
            self.set_targets(node)
            if not self.lower_block(node.body):
                self.end_round(node.body[-1], before, frame.passed)
            if "continue" in frame.used:
                self.put_label(again)
            self.scope = here
            self.position = position

        return run
