"""Lowering one function: its scopes, its temporaries, the ways out of it, and the Cython lines that come of it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

from compiler import typesystem as t
from compiler.errors import CompileError
from compiler.escape import EMPTY, NOTHING, OTHERS, Atoms, Flow, Where, bears, stack
from compiler.facts import Fact, Facts, Passed, assigned_targets, must_use, path_of, stored_names
from compiler.instances import Environment, FunctionInstance
from compiler.program import Module
from compiler.typesystem import Value
from hv.lang.errno import NUMBERS

if TYPE_CHECKING:
    from compiler.unit import Unit
    from compiler.whole import Compiler

INTEGERS = {"u8": "unsigned char", "u16": "unsigned short", "u32": "unsigned int", "u64": "unsigned long"} | {
    "i8": "signed char", "i16": "short", "i32": "int", "i64": "long", "boolean": "unsigned char"
}  # fmt: skip
RESERVED = frozenset(
    """
    gil nogil api public readonly extern inline cdef cpdef ctypedef cppclass struct union enum include cimport by new
    DEF IF ELIF ELSE void char short int long float double signed unsigned const volatile auto register static switch
    case default goto do typedef sizeof restrict bool boolean text message print exec size_t NULL main errno object type
    complex asm fused packed
    u8 u16 u32 u64 i8 i16 i32 i64 True False None
    """.split()
)


def c_field(name: str) -> str:
    """A field's or parameter's name in C."""
    return name + "_" if name in RESERVED else name


@dataclass
class Local:
    c: str
    type: t.Type
    place: bool = False
    frozen: bool = False
    origin: Atoms | None = None  # what it refers to, when that is not what was assigned to it
    home: Atoms = EMPTY


@dataclass(eq=False)
class Scope:
    """The names of one body: the function's own, or an iterator's that is expanded in it."""

    function: FunctionInstance
    outer: Scope | None
    prefix: str
    number: int = field(default_factory=count().__next__)
    names: dict[str, Local] = field(default_factory=dict)
    global_names: set[str] = field(default_factory=set)
    yielded: Callable[[Value], None] | None = None

    @cached_property
    def stored(self) -> frozenset[str]:
        """The names that are locals here, from the first line to the last."""
        return stored_names(self.function.node)

    @property
    def module(self) -> Module:
        return self.function.module

    @property
    def environment(self) -> Environment:
        return self.function.environment

    def expands(self, function: FunctionInstance) -> bool:
        """Whether this is the body of an iterator, expanded here, or lies in one that is."""
        scope = self
        while scope.outer is not None:
            if scope.function is function:
                return True
            scope = scope.outer
        return False

    def within(self, other: Scope) -> bool:
        """Whether a raise in `self` can be handled by a `try` of `other`."""
        scope: Scope | None = self
        while scope is not None:
            if scope is other:
                return True
            scope = scope.outer
        return False


@dataclass(eq=False)
class Frame:
    """Something that a way out passes: a loop, an expanded iterator, a try, or a guard to release."""

    scope: Scope
    shape: str  # loop, expansion, try, guard
    label: int = 0  # where break (loop), return (expansion) or a raise (try) goes
    again: int = 0  # where continue goes
    error: str = ""  # the variable that takes a try's error
    release: Callable[[], None] | None = None
    within: Frame | None = None  # of a loop over an iterator: the innermost frame at its `yield`, where continue stays
    used: set[str] = field(default_factory=set)
    save: Callable[[], None] | None = None  # of a preemptible loop: keeps its progress when ERESTART leaves it
    passed: Passed = field(default_factory=Passed)


class Lowering(Facts):
    """State shared by the mixins of expressions, calls, words and statements."""

    def __init__(self, compiler: Compiler, unit: Unit, function: FunctionInstance) -> None:
        self.compiler = compiler
        self.unit = unit
        self.function = function
        self.scope = Scope(function, None, "")
        self.lines: list[tuple[str, tuple[str, int]]] = []
        self.locals: dict[str, str] = {}
        self.frames: list[Frame] = []
        self.known: set[Fact] = set()
        self.begin_scope(self.scope)
        self.depth = 1
        self.counter = 0
        self.position: tuple[str, int] = (function.module.shown, function.node.lineno)
        self.flow = Flow()

    # Refusals and positions

    @property
    def module(self) -> Module:
        return self.scope.module

    def refuse(self, node: ast.AST, message: str) -> CompileError:
        return self.module.refuse(node if hasattr(node, "lineno") else self.position[1], message)

    def at(self, node: ast.AST) -> None:
        self.position = (self.module.shown, getattr(node, "lineno", self.position[1]))

    # Where references go

    def where(self, node: ast.AST) -> Where:
        return Where(self.module, getattr(node, "lineno", self.position[1]))

    def origin_of(self, value: Value) -> Atoms:
        """The objects that a value refers to."""
        if value.type is t.NULL or not bears(value.type):
            return frozenset({NOTHING})
        return value.origin or frozenset({OTHERS})

    def home_of(self, value: Value) -> Atoms:
        return value.home or frozenset({OTHERS})

    def address_of_record(self, value: Value, text: str) -> Atoms:
        """The record itself as an object: where it lies, or a copy on the stack."""
        if value.home:
            return value.home
        home = stack(f"record {text}")
        self.flow.stored.append((self.origin_of(value), home, self.where(value.node or self.function.node)))
        return home

    # Emission

    def emit(self, text: str) -> None:
        self.lines.append(("    " * self.depth + text, self.position))

    @contextmanager
    def block(self, opening: str) -> Iterator[None]:
        """An indented block; an empty one gets its `pass`."""
        self.emit(opening)
        self.depth += 1
        start = len(self.lines)
        yield
        if len(self.lines) == start:
            self.emit("pass")
        self.depth -= 1

    def fresh(self, stem: str = "t") -> str:
        """A name that nothing in the function has."""
        name = ""
        while not name or name in self.locals or name in self.argument_names:
            self.counter += 1
            name = f"{stem}_{self.counter}"
        return name

    def label(self) -> int:
        self.counter += 1
        return self.counter

    def declare(self, c: str, kind: t.Type) -> str:
        """Declares a C local that holds a value of the type (the storage itself, for arrays and embedded objects)."""
        self.unit.use_type(kind)
        self.locals[c] = self.unit.declarator(kind, c)
        return c

    def temporary(self, kind: t.Type) -> str:
        return self.declare(self.fresh(), kind)

    def raw_temporary(self, c_type: str, suffix: str = "") -> str:
        name = self.fresh()
        self.locals[name] = f"{c_type} {name}{suffix}"
        return name

    def spill(self, value: Value) -> Value:
        """The value in a temporary, so that later statements cannot change what it reads."""
        if (
            value.const is not None
            or value.cost == 0
            or value.type in (t.NULL, t.LITERAL)
            or isinstance(value.type, t.RegisterType)
        ):
            return value
        if isinstance(value.type, t.Array):
            return self.pin(value, f"{value.text}[0]", "") if not isinstance(value.type.element, t.Array) else value
        if isinstance(value.type, t.Atomic):
            return self.pin(value)
        if value.place:
            value = replace(value, text="&" + value.text, cost=1, place=False)
        return self.kept(value)

    def kept(self, value: Value) -> Value:
        """The value in a temporary of its own: an assignment to the local that it was read from does not change it."""
        if value.const is not None:
            return value
        name = self.temporary(value.type)
        self.emit(f"{name} = {value.text}")
        return replace(value, text=name, cost=0, place=False)

    def pin(self, place: Value, text: str = "", element: str = "[0]") -> Value:
        """A place named by its address, so that later statements cannot change which place it is."""
        kind = place.type.element if isinstance(place.type, t.Array) else place.type
        self.unit.use_type(kind)
        unaligned = place.packed and kind.c in INTEGERS and kind.c not in ("u8", "i8", "boolean")
        name = self.raw_temporary(f"{'cx_packed_' if unaligned else ''}{kind.c}*")
        self.emit(f"{name} = &{text or place.text}")
        return replace(place, text=name + element, cost=1, place=False)

    def then(self, earlier: list[Value], make: Callable[[], Value]) -> tuple[list[Value], Value]:
        """The next operand, and those before it kept as they were when it acts: C has no order of its own."""
        start = len(self.lines)
        value = make()
        acts = len(self.lines) != start or value.cost == 2
        if acts or value.cost:
            after = self.lines[start:]
            del self.lines[start:]
            earlier = [self.spill(e) if e.cost == 2 or (acts and e.cost) else e for e in earlier]
            self.lines += after
        return earlier, value

    def tried(self, node: ast.expr, storing: bool = False) -> tuple[Value, bool]:
        """What an expression would be, without its statements; and whether evaluating it does something."""
        start = len(self.lines)
        value = self.expression(node, None, storing)
        acts = len(self.lines) != start or value.cost == 2
        del self.lines[start:]
        return value, acts

    def goto(self, label: int) -> None:
        self.unit.helper("CX_GOTO", "void CX_GOTO(int)")
        self.emit(f"CX_GOTO({label})")

    def put_label(self, label: int) -> None:
        self.unit.helper("CX_LABEL", "void CX_LABEL(int)")
        self.emit(f"CX_LABEL({label})")

    # Names

    def new_local(self, name: str, kind: t.Type, node: ast.AST) -> Local:
        """A local of the current scope; a name that comes back with another type gets other storage only in a `for`."""
        c = f"{self.scope.prefix}{name}"
        if c in RESERVED or c.startswith("__"):
            c += "_"
        if c in self.locals or c in self.argument_names:
            c = self.fresh(c)
        self.declare(c, kind)
        local = Local(c, kind)
        self.scope.names[name] = local
        return local

    @property
    def argument_names(self) -> set[str]:
        return {name for _, name in self.c_arguments}

    @property
    def c_arguments(self) -> list[tuple[str, str]]:
        return [(c, c_field(name)) for c, name in self.function.arguments]

    # Ways out

    def unwind(self, until: Frame | None) -> None:
        """Releases the guards between here and a frame (all of them for None), the innermost first."""
        saved = self.frames
        for i in range(len(saved) - 1, -1, -1):
            frame = saved[i]
            if frame is until:
                break
            if frame.release is not None:
                self.frames = saved[:i]
                frame.release()
        self.frames = saved

    def raise_error(self, error: str, node: ast.AST) -> None:
        """Leaves with an error, for the nearest try or to the caller."""
        self.save_progress(error)
        for frame in reversed(self.frames):
            if frame.shape == "try" and self.scope.within(frame.scope):
                frame.passed.raises.append(set(self.known))
                self.emit(f"{frame.error} = {error}")
                self.unwind(frame)
                self.goto(frame.label)
                return
        if not self.function.raises:
            raise self.refuse(
                node, f"this may raise: mark `{self.function.node.name}` @raises, or handle it with try/except Errno"
            )
        self.check_all_done(node, "dropped by an error")
        self.unwind(None)
        self.emit(f"return {self.failure(error)}")

    def save_progress(self, error: str) -> None:
        """Preemptible loops that ERESTART leaves keep how far they came, so that the call can be made again."""
        saving = []
        for frame in reversed(self.frames):
            if frame.shape == "try" and self.scope.within(frame.scope):
                break
            if frame.save is not None:
                saving.append(frame.save)
        if saving:
            with self.block(f"if {error} == {NUMBERS['ERESTART']}:"):
                for save in saving:
                    save()

    def failure(self, error: str) -> str:
        """The C value that a raising function returns for an error."""
        if self.function.result in (t.VOID, t.NEVER):
            return error
        c = self.function.return_c
        self.unit.use_result(self.function.result)
        self.unit.helper(f"{c}_failed", f"{c} {c}_failed(i32)")
        return f"{c}_failed({error})"

    def success(self, value: str | None) -> str:
        """The C statement that a function ends with."""
        if not self.function.raises:
            return "return" if value is None else f"return {value}"
        if value is None:
            return "return 0"
        c = self.function.return_c
        self.unit.use_result(self.function.result)
        self.unit.helper(f"{c}_done", f"{c} {c}_done({self.function.result.c})")
        return f"return {c}_done({value})"

    # Defined by the mixins; named here so that each can call the others.

    expression: Callable[..., Value]
    coerce: Callable[..., Value]
    call: Callable[..., Value]
    invoke: Callable[..., Value]
    class_or_module: Callable[[ast.expr], Any]
    lower_block: Callable[[list[ast.stmt]], bool]
    reference: Callable[[Value, ast.AST], Value]


__all__ = ["RESERVED", "Any", "Frame", "Local", "Lowering", "Scope", "assigned_targets", "must_use", "path_of"]
