"""What module-level names with values become."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from compiler import typesystem as t
from compiler.instances import ClassInstance
from compiler.program import FunctionDeclaration, Module, VariableDeclaration


@dataclass(eq=False)
class Global:
    """A module variable, static object, table or constant."""

    declaration: VariableDeclaration
    type: t.Type
    constant: t.Constant | None = None
    initial: str | None = None  # C text of the initialiser; None for zeros
    read_only: bool = False

    @property
    def c(self) -> str:
        return self.declaration.c_name


@dataclass(eq=False)
class RegistryGlobal(Global):
    """A table that decorated functions anywhere in the program fill."""

    entry: ClassInstance | None = None
    adapter: FunctionDeclaration | None = None  # of an Adapted: what makes a decorated function fit the field
    entries: list[RegistryEntry] = field(default_factory=list)


@dataclass(eq=False)
class RegistryEntry:
    module: Module
    call: ast.Call
    decorated: Any  # the FunctionDeclaration or ClassDeclaration below the decorator

    def given(self, record: ClassInstance) -> dict[str, ast.expr]:
        """What the decorator says of each field; in `@registry(…)` also by position."""
        names = [n for n, kind in record.fields.items() if not isinstance(kind, (t.Function, t.ConstType))]
        found = dict(zip(names, self.call.args, strict=False))
        for keyword in self.call.keywords:
            found[str(keyword.arg)] = keyword.value
        return found

    @property
    def order(self) -> tuple[str, int]:
        return self.module.name, self.call.lineno
