"""Proves that no reference to an object on the stack outlives the function that made it.

Lowering notes in a `Flow` where references go: into locals, into objects, into calls, out by `return`. When the program
is lowered, functions are solved, callees first (there is no recursion). A function's `Summary` says of its parameters
which come back as its result, which it stores in which, and which it keeps beyond the call; callers apply it. What is
stored in an object is one set, whatever the field. Refused is a reference to an object on the stack that is returned,
or stored in anything but an object on the same stack frame.

An atom stands for objects: one on the stack, what a parameter refers to, what hangs on that (`inside`), all others.
A record that is copied stands for what its references refer to. Pointers (`ptr`) are not followed: they are low-level.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compiler import typesystem as t
from compiler.errors import CompileError

if TYPE_CHECKING:
    from compiler.instances import FunctionInstance
    from compiler.program import Module
    from compiler.whole import Compiler

Atom = tuple[Any, ...]
Atoms = frozenset[Atom]

OTHERS: Atom = ("others",)
NOTHING: Atom = ("nothing",)
EMPTY: Atoms = frozenset()


def stack(name: str) -> Atoms:
    return frozenset({("stack", name)})


def local(name: str) -> Atoms:
    return frozenset({("local", name)})


def parameter(index: int) -> Atoms:
    return frozenset({("parameter", index)})


def inside(atoms: Atoms) -> Atoms:
    """What is loaded from the objects."""
    return frozenset(("inside", a) for a in atoms)


def bears(kind: t.Type) -> bool:
    """Whether a value of the type holds a reference to an object."""
    match kind:
        case t.ClassType():
            return not kind.by_value or any(bears(f) for f in kind.instance.fields.values())
        case t.ProtocolType() | t.Embedded():
            return True
        case t.Nullable():
            return bears(kind.of)
        case t.Array():
            return bears(kind.element)
        case t.Tuple():
            return any(bears(part) for part in kind.parts)
    return False


@dataclass(frozen=True)
class Where:
    module: Module
    line: int

    def refuse(self, message: str) -> CompileError:
        return self.module.refuse(self.line, message)

    def __str__(self) -> str:
        return f"{self.module.shown}:{self.line}"


@dataclass
class Flow:
    """Where references go in one function."""

    assigned: list[tuple[Atom, Atoms]] = field(default_factory=list)
    stored: list[tuple[Atoms, Atoms, Where]] = field(default_factory=list)
    returned: list[tuple[Atoms, Where]] = field(default_factory=list)
    called: list[tuple[Atom, Any, list[Atoms], Where]] = field(default_factory=list)

    def assign(self, name: str, atoms: Atoms) -> None:
        self.assigned.append((("local", name), atoms))

    def call(self, target: Any, arguments: list[Atoms], where: Where) -> Atoms:
        """What a call returns. `target` is a function, or what `Compiler.targets` makes functions of."""
        result = ("result", len(self.called))
        self.called.append((result, target, arguments, where))
        return frozenset({result})


@dataclass
class Summary:
    """What a function does with what it is given, in atoms of its parameters."""

    returned: set[Atom] = field(default_factory=set)
    stored: set[tuple[Atom, Atom]] = field(default_factory=set)  # what, into what
    kept: dict[Atom, Where] = field(default_factory=dict)


class Solver:
    """One function's flow with the summaries of its callees."""

    def __init__(self, compiler: Compiler, flow: Flow, summaries: dict[FunctionInstance, Summary]) -> None:
        self.flow = flow
        self.known: dict[Atom, set[Atom]] = {}
        self.contents: dict[Atom, set[Atom]] = {}
        self.summary = Summary()
        self.changed = False
        self.calls = [
            (result, [(f, summaries[f]) for f in compiler.targets(target) if f in summaries], arguments, where)
            for result, target, arguments, where in flow.called
        ]

    def solve(self) -> Summary:
        self.changed = True
        while self.changed:
            self.changed = False
            for name, atoms in self.flow.assigned:
                self.add(self.known.setdefault(name, set()), self.resolve(atoms))
            for value, container, where in self.flow.stored:
                self.store(value, container, where, None)
            for result, targets, arguments, where in self.calls:
                for function, summary in targets:
                    self.apply(result, function, summary, arguments, where)
        for atoms, where in self.flow.returned:
            found = self.resolve(atoms)
            if any(a[0] == "stack" for a in found):
                raise where.refuse("an object on the stack cannot be returned: make it in the caller, and fill it here")
            self.summary.returned |= {a for a in found if a[0] in ("parameter", "inside")}
        return self.summary

    def add(self, to: set[Atom], atoms: Iterable[Atom]) -> None:
        size = len(to)
        to.update(atoms)
        self.changed |= len(to) != size

    def resolve(self, atoms: Iterable[Atom]) -> set[Atom]:
        """The objects that atoms stand for: on the stack, parameters and what hangs on them, others."""
        found: set[Atom] = set()
        for atom in atoms:
            match atom:
                case ("local" | "result", _):
                    found |= self.known.get(atom, set())
                case ("inside", inner):
                    for base in self.resolve([inner]) if inner[0] != "parameter" else {inner}:
                        found |= self.loaded(base)
                case _:
                    found.add(atom)
        return found

    def loaded(self, base: Atom) -> set[Atom]:
        match base:
            case ("stack", _):
                return {OTHERS} | self.contents.get(base, set())
            case ("parameter", _):
                return {("inside", base)}
            case ("inside", _):
                return {base}
        return {OTHERS}

    def reached(self, atoms: set[Atom]) -> set[Atom]:
        """What hangs on objects, however deep."""
        found: set[Atom] = set()
        pending = list(atoms)
        while pending:
            for atom in self.loaded(pending.pop()) - found:
                found.add(atom)
                pending.append(atom)
        return found

    def store(self, values: Iterable[Atom], containers: Iterable[Atom], where: Where, by: str | None) -> None:
        held = self.resolve(values) - {OTHERS, NOTHING}
        if not held:
            return
        for container in self.resolve(containers) - {NOTHING}:
            if container[0] == "stack":
                self.add(self.contents.setdefault(container, set()), held)
                continue
            for value in held:
                if value[0] == "stack":
                    raise where.refuse(
                        "an object on the stack cannot be stored: it is gone when the function returns"
                        if by is None
                        else f"an object on the stack cannot be passed here: {by}"
                    )
                if container == OTHERS:
                    self.changed |= value not in self.summary.kept
                    self.summary.kept.setdefault(value, where)
                else:
                    self.changed |= (value, container) not in self.summary.stored
                    self.summary.stored.add((value, container))

    def apply(
        self, result: Atom, function: FunctionInstance, summary: Summary, arguments: list[Atoms], where: Where
    ) -> None:
        def given(atom: Atom) -> set[Atom]:
            if atom[0] == "inside":
                return self.reached(self.resolve(arguments[atom[1][1]]))
            return self.resolve(arguments[atom[1]])

        self.add(self.known.setdefault(result, {OTHERS}), (a for atom in summary.returned for a in given(atom)))
        for value, container in summary.stored:
            self.store(given(value), given(container), where, f"`{function.node.name}` stores it")
        for value, place in summary.kept.items():
            self.store(given(value), {OTHERS}, where, f"`{function.node.name}` keeps it ({place})")


def refuse_escapes(compiler: Compiler, ordered: list[FunctionInstance]) -> None:
    """`ordered` has callees before their callers."""
    summaries: dict[FunctionInstance, Summary] = {}
    for function in ordered:
        if function.flow is not None:
            summaries[function] = Solver(compiler, function.flow, summaries).solve()
