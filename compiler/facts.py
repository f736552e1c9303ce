"""What is known where a statement stands: references that are not null, locals that are set, duties that are done.

The facts of one way through a function are a set; where ways meet, what holds is what holds on each of them. A fact
names its scope, so that an iterator's body, expanded in its caller, has facts of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from compiler import typesystem as t

if TYPE_CHECKING:
    from collections.abc import Callable

    from compiler.errors import CompileError
    from compiler.lowering import Frame, Scope

NOT_NULL, SET, DONE = "not null", "set", "done"

Fact = tuple[int, str, str]  # the scope's number, what is known, and of which name or dotted path


@dataclass
class Passed:
    """The facts with which control left a loop or a try by a jump."""

    breaks: list[set[Fact]] = field(default_factory=list)
    rounds: list[set[Fact]] = field(default_factory=list)
    raises: list[set[Fact]] = field(default_factory=list)


class Facts:
    """`known` are the facts of the way that is being lowered."""

    scope: Scope
    frames: list[Frame]
    known: set[Fact]
    refuse: Callable[[ast.AST, str], CompileError]

    # References

    def narrowings(self, node: ast.expr) -> tuple[set[str], set[str]]:
        """The dotted paths known not to be null when the condition holds, and when it does not."""
        match node:
            case ast.Compare(left=left, ops=[op], comparators=[ast.Constant(value=None)]):
                path = path_of(left)
                if path is not None:
                    if isinstance(op, ast.IsNot):
                        return {path}, set()
                    if isinstance(op, ast.Is):
                        return set(), {path}
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yes, no = self.narrowings(operand)
                return no, yes
            case ast.BoolOp(op=ast.And(), values=values):
                return set().union(*(self.narrowings(v)[0] for v in values)), set()
            case ast.BoolOp(op=ast.Or(), values=values):
                return set(), set().union(*(self.narrowings(v)[1] for v in values))
        return set(), set()

    def narrow(self, paths: Iterable[str]) -> None:
        self.known |= {(self.scope.number, NOT_NULL, p) for p in paths}

    def is_narrowed(self, path: str | None) -> bool:
        return (self.scope.number, NOT_NULL, path) in self.known

    def forget(self, path: str | None) -> None:
        """An assignment to a path ends what was known of it and of what hangs below it."""
        if path is not None:
            scope = self.scope.number
            self.known = {
                fact
                for fact in self.known
                if fact[:2] != (scope, NOT_NULL) or not (fact[2] == path or fact[2].startswith(path + "."))
            }

    def forget_assigned(self, body: list[ast.stmt]) -> None:
        """Before a loop: what its body assigns is not known at its start."""
        for outer in body:
            for node in ast.walk(outer):
                for target in assigned_targets(node):
                    self.forget(path_of(target))

    # Locals

    def begin_scope(self, scope: Scope) -> None:
        """No local of the scope has a duty yet."""
        self.known |= {(scope.number, DONE, name) for name in scope.stored}

    def mark_set(self, name: str, kind: t.Type, node: ast.AST) -> None:
        """A local gets a value; what it held before must have been used when that was a duty."""
        scope = self.scope.number
        if must_use(kind):
            self.check_done(node, name, self.known)
            self.known.discard((scope, DONE, name))
        self.known.add((scope, SET, name))

    def mark_used(self, name: str, node: ast.AST) -> None:
        """A local is read: it must be set on each way that leads here."""
        scope = self.scope.number
        if (scope, SET, name) not in self.known:
            raise self.refuse(
                node, f"`{name}` may be unset here: assign it on every way that leads here, or once before they part"
            )
        self.known.add((scope, DONE, name))

    def check_done(self, node: ast.AST, name: str, known: set[Fact], way: str = "overwritten") -> None:
        if (self.scope.number, DONE, name) not in known:
            kind = self.scope.names[name].type
            raise self.refuse(
                node, f"the {kind.shown} in `{name}` is {way} unused: use it on every way from where it was made"
            )

    def check_all_done(self, node: ast.AST, way: str, since: set[Fact] | None = None) -> None:
        """No local holds a duty that nobody can do any more. `since`: only those that were free of one then."""
        saved, scope = self.scope, self.scope
        while True:
            self.scope = scope
            for name, local in scope.names.items():
                before = since is None or (scope.number, DONE, name) in since
                if must_use(local.type) and name in scope.stored and before:
                    self.check_done(node, name, self.known, way)
            if since is not None or scope.outer is None:
                break
            scope = scope.outer
        self.scope = saved

    # Loops

    def after_loop(self, before: set[Fact], passed: Passed, certain: bool, endless: bool = False) -> None:
        """The facts behind a loop. `certain`: its body ran once at least; `endless`: it ends by `break` alone."""
        ends = passed.breaks if endless else [*passed.breaks, *(passed.rounds if certain else ())]
        shared = set.intersection(*ends) if ends else set()
        gained = {fact for fact in shared if fact[1] == SET} if certain or endless else set()
        kept = {f for f in before if f[1] != DONE or all(f in other for other in passed.breaks)}
        self.known = kept | gained

    def end_round(self, node: ast.AST, before: set[Fact], passed: Passed) -> None:
        """At the end of a loop's body and at `continue`."""
        self.check_all_done(node, "left when the loop goes round", before)
        passed.rounds.append(set(self.known))


def must_use(kind: Any) -> bool:
    if isinstance(kind, t.Tuple):
        return any(must_use(part) for part in kind.parts)
    return isinstance(kind, t.ClassType) and kind.instance.info.must_use


def path_of(node: ast.AST) -> str | None:
    """`self.queue.head` as text, for names and attributes only."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            inner = path_of(value)
            return None if inner is None else f"{inner}.{attr}"
    return None


def assigned_targets(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Assign(targets=targets):
            return [part for target in targets for part in parts_of(target)]
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target) | ast.For(target=target):
            return parts_of(target)
        case ast.withitem(optional_vars=target) if target is not None:
            return [target]
    return []


def parts_of(target: ast.expr) -> list[ast.expr]:
    return [*target.elts] if isinstance(target, (ast.Tuple, ast.List)) else [target]


@cache
def stored_names(function: ast.FunctionDef) -> frozenset[str]:
    """The names that Python takes for locals of a function: those that it assigns and does not call `global`."""
    stored: set[str] = {a.arg for a in function.args.args}
    shared: set[str] = set()
    for node in ast.walk(function):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                stored.add(name)
            case ast.ExceptHandler(name=str(name)):
                stored.add(name)
            case ast.Global(names=names):
                shared.update(names)
    return frozenset(stored - shared)
