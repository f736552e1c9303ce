"""Lowering statements: choices, ways out, and guards. Assignments and loops have modules of their own."""

from __future__ import annotations

import ast

from compiler import escape
from compiler import typesystem as t
from compiler.facts import DONE, NOT_NULL, SET, Fact, must_use
from compiler.lowering import Frame, Local, Lowering
from compiler.typesystem import Value


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


__all__ = ["Statements"]
