"""Classes and functions with their types; a generic has one instance for each set of arguments."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from compiler import typesystem as t
from compiler.abi import compat_type, word_of
from compiler.program import ClassDeclaration, Module

if TYPE_CHECKING:
    from compiler.declare import Declarations
    from compiler.escape import Flow

Environment = dict[str, Any]  # a generic parameter's name to a Type or a Constant


@dataclass(frozen=True)
class TypeParameter:
    name: str
    bound: ast.expr | None


@dataclass(frozen=True)
class Parameter:
    name: str
    type: t.Type
    default: ast.expr | None


@dataclass(eq=False)
class FunctionInstance:
    """A function with its types; of a generic, one for each set of arguments."""

    module: Module
    node: ast.FunctionDef
    owner: ClassInstance | None
    environment: Environment
    c: str
    parameters: list[Parameter] = field(default_factory=list)
    result: t.Type = t.VOID
    decorators: dict[str, ast.expr] = field(default_factory=dict)
    element: t.Type | None = None  # what an iterator yields
    calls: set[FunctionInstance] = field(default_factory=set, repr=False)
    indirect: set[Any] = field(default_factory=set, repr=False)
    flow: Flow | None = field(default=None, repr=False)  # where references go in its body, when it is lowered

    @property
    def raises(self) -> bool:
        return "raises" in self.decorators

    @property
    def static(self) -> bool:
        return self.owner is None or "staticmethod" in self.decorators

    @property
    def bodiless(self) -> bool:
        return "asm" in self.decorators or "extern" in self.decorators

    @property
    def key(self) -> str:
        """Its part in the name of a copy that is made for it."""
        return self.c

    @property
    def qualified(self) -> str:
        owner = f"{self.owner.shown}." if self.owner else ""
        return f"{self.module.name}.{owner}{self.node.name}"

    @property
    def return_c(self) -> str:
        """The C type that comes back: the result, or the result beside an error."""
        if self.raises:
            return "i32" if self.result in (t.VOID, t.NEVER) else f"result_{result_key(self.result)}"
        return self.result.c

    @property
    def arguments(self) -> list[tuple[str, str]]:
        """C types and names, `self` first."""
        own = [] if self.static else [(self.owner.self_c, "self")]  # type: ignore[union-attr]
        return own + [(p.type.c, p.name) for p in self.parameters]

    def is_defined_by(self, other: FunctionInstance) -> bool:
        """Whether this is a declared stub, and the other a function that stands for it, as on the simulated machine."""
        return (
            "extern" in self.decorators
            and "export" in other.decorators
            and self.return_c == other.return_c
            and [c for c, _ in self.arguments] == [c for c, _ in other.arguments]
        )


def result_key(result: t.Type) -> str:
    return result.c.replace("*", "_p").replace(" ", "_")


@dataclass(eq=False)
class ClassInfo:
    """A class as written."""

    declaration: ClassDeclaration
    shape: str = "plain"  # plain value guard embedded protocol
    parameters: list[TypeParameter] = field(default_factory=list)
    protocols: list[ClassInfo] = field(default_factory=list)
    methods: dict[str, ast.FunctionDef] = field(default_factory=dict)
    fields: dict[str, ast.AnnAssign] = field(default_factory=dict)
    per_cpu: bool = False
    extends: ast.expr | None = None
    extensible: bool = False
    alignment: ast.expr | None = None
    assembly: bool = False
    must_use: bool = False
    packed: bool = False
    union: bool = False
    abi: tuple[str, str] | None = None  # the public header and the C type whose layout this is
    compat: bool = False  # the form of an ABI's class that 32-bit callers use

    @property
    def aligned_fields(self) -> set[str]:
        """Those that are aligned to their size for 32-bit callers too."""
        return {name for name, node in self.fields.items() if word_of(node.annotation) == "Aligned"}

    @property
    def module(self) -> Module:
        return self.declaration.module

    @property
    def by_value(self) -> bool:
        return self.shape in ("value", "guard")


@dataclass(eq=False)
class ClassInstance:
    info: ClassInfo
    arguments: tuple[Any, ...]
    declarations: Declarations = field(repr=False)

    @cached_property
    def key(self) -> str:
        parts = [self.info.declaration.c_name, *(a.key.rsplit(".", 1)[-1] for a in self.arguments)]
        return "_".join([*parts, *(["compat"] if self.info.compat else [])])

    @property
    def c(self) -> str:
        return self.key

    @property
    def self_c(self) -> str:
        return self.c + "*"

    @property
    def shown(self) -> str:
        name = self.info.declaration.name
        if self.info.compat:
            return f"Compat[{name}]"
        if not self.arguments:
            return name
        return f"{name}[{', '.join(a.shown if isinstance(a, t.Type) else a.key for a in self.arguments)}]"

    @property
    def environment(self) -> Environment:
        return dict(zip((p.name for p in self.info.parameters), self.arguments, strict=True))

    @cached_property
    def type(self) -> Any:
        return t.intern(t.ProtocolType(self) if self.info.shape == "protocol" else t.ClassType(self))

    @cached_property
    def fields(self) -> dict[str, t.Type]:
        kinds = {
            name: self.declarations.field_type(node.annotation, self.info.module, self.environment)
            for name, node in self.info.fields.items()
        }
        if self.info.compat:
            fields = self.info.fields
            return {n: compat_type(self.declarations, kind, word_of(fields[n].annotation)) for n, kind in kinds.items()}
        return kinds

    def method(self, name: str) -> FunctionInstance | None:
        node = self.info.methods.get(name)
        return None if node is None else self.declarations.method(self, node)

    @property
    def protocols(self) -> list[ClassInstance]:
        return [self.declarations.instance(p, ()) for p in self.info.protocols]
