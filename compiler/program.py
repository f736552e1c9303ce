"""Loading a program: its modules, what each name in them stands for, and the configuration that folds parts away.

Nothing is typed here. A module's scope maps a name to what declares it; `declare` gives declarations their types when
they are first asked for.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compiler.errors import CompileError

WORDS = frozenset(
    """
    Final Const Embedded Message Never None Callable Iterator Protocol Generic TypeVar NewType TypeAlias Errno Enum Bits
    Field
    U8Enum U16Enum U32Enum U64Enum U8Flag U16Flag U32Flag U64Flag PerCpu Extension Registry Atomic SystemRegister
    u8 u16 u32 u64 i8 i16 i32 i64 usize bool str array ptr size_of value guard embedded aligned extensible raises
    unbounded asm export extern assembly_layout truncate bounded min max leading_zeros trailing_zeros popcount byteswap
    address_of symbol str_at attach_percpu init_extensions teardown_extensions test_only rarely apart must_use
    preemptible preemption_policy packed union abi Long Aligned Compat widen narrow Adapted step_extensions
    """.split()
)
PYTHON_WORDS = frozenset(
    "bool str len range enumerate ord min max property staticmethod int None object isinstance tuple".split()
)

UNIKERNELS = "qemu-tests"  # where their package `guests` lies


@dataclass(frozen=True)
class Builtin:
    """A word of hv.lang or of Python itself."""

    name: str


@dataclass(frozen=True)
class Folded:
    """A configuration symbol's value."""

    name: str
    value: Any


@dataclass(eq=False)
class Declared:
    """Something that a module declares under a name."""

    module: Module
    name: str
    node: Any

    @property
    def c_name(self) -> str:
        return f"{self.module.c_prefix}_{self.name}" if self.module.c_prefix else self.name


class ClassDeclaration(Declared):
    pass


class FunctionDeclaration(Declared):
    pass


class VariableDeclaration(Declared):
    """`NAME: annotation = value` or `NAME = value` at module level: a constant, variable, object, alias or kind."""


@dataclass(frozen=True)
class ModuleReference:
    module: Module


@dataclass(frozen=True)
class Imported:
    """A name that another module declares; followed when it is looked up, for that module may declare it later."""

    module: Module
    name: str
    line: int


@dataclass(eq=False)
class Module:
    name: str
    path: Path
    shown: str  # the path as people see it, relative to the project
    tree: ast.Module
    scope: dict[str, Any] = field(default_factory=dict)
    declarations: list[Declared] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)

    @property
    def c_prefix(self) -> str:
        return self.name.removeprefix("hv.").replace(".", "_")

    def refuse(self, node: ast.AST | int, message: str) -> CompileError:
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return CompileError(self.shown, line, message)


@dataclass(frozen=True)
class Target:
    """What a program is compiled for. `substitutes` maps a module's name to the one that stands for it here."""

    name: str
    substitutes: dict[str, str]
    hosted: bool
    clang: tuple[str, ...]
    architecture: str = ""  # "arm64" or "x86"; "": the host's, whose instructions no program names
    assembler: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    image: tuple[str, ...] = ()  # what objcopy makes of the linked file for a boot loader


class Program:
    """All modules that the roots reach, in the order of their first import: what a module needs stands before it."""

    def __init__(self, root: Path, target: Target, config: dict[str, Any]) -> None:
        self.root = root
        self.target = target
        self.config = config
        self.modules: dict[str, Module] = {}
        self.ordered: list[Module] = []
        listed = root / "hv" / "listed.toml"
        self.listed: dict[str, list[str]] = tomllib.loads(listed.read_text()) if listed.exists() else {}

    def load(self, name: str) -> Module:
        name = self.target.substitutes.get(name, name)
        if name in self.modules:
            return self.modules[name]
        return self.load_file(name, self._path(name))

    def load_file(self, name: str, path: Path) -> Module:
        """Parses a module and collects its scope. FileNotFoundError when there is none."""
        try:
            shown = str(path.resolve().relative_to(self.root.resolve()))
        except ValueError:
            shown = str(path)
        try:
            tree = ast.parse(path.read_text(), filename=shown)
        except SyntaxError as error:
            raise CompileError(shown, error.lineno or 1, f"this is not Python: {error.msg}") from None
        module = Module(name, path, shown, tree)
        self.modules[name] = module
        self._collect(module, tree.body)
        self.ordered.append(module)
        return module

    def contract(self, name: str) -> Module | None:
        """A substituted module as written: signatures that its substitute must have. It is no part of the program."""
        path = self.root.joinpath(*name.split(".")).with_suffix(".py")
        if not path.exists() or name not in self.target.substitutes:
            return None
        found = self.load_file(name, path)
        del self.modules[name]
        self.ordered.remove(found)
        return found

    def allowed(self, module: Module, heading: str) -> bool:
        """Whether listed.toml lets a module use a heading's low-level words. Programs outside hv may use all."""
        return not module.name.startswith("hv.") or module.name in self.listed.get(heading, [])

    def _collect(self, module: Module, body: list[ast.stmt]) -> None:
        for node in body:
            match node:
                case ast.ImportFrom():
                    self._import(module, node)
                case ast.ClassDef():
                    self._declare(module, ClassDeclaration(module, node.name, node), node)
                case ast.FunctionDef():
                    self._declare(module, FunctionDeclaration(module, node.name, node), node)
                case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                    self._declare(module, VariableDeclaration(module, name, node), node)
                case ast.Expr(value=ast.Constant(value=str())):
                    pass
                case ast.If():
                    chosen = fold(self, module, node.test)
                    if chosen is None:
                        raise module.refuse(
                            node, "a condition at module level must be a configuration symbol: `if CONFIG_X:`"
                        )
                    self._collect(module, node.body if chosen else node.orelse)
                case ast.Pass():
                    pass
                case ast.Import():
                    raise module.refuse(
                        node,
                        "`import` brings no name: write `from package.module import name`, or a module for the name",
                    )
                case _:
                    raise module.refuse(
                        node,
                        f"{type(node).__name__} at module level: a module holds imports, constants, variables, "
                        "classes and functions",
                    )

    def _declare(self, module: Module, what: Declared, node: ast.AST) -> None:
        if isinstance(module.scope.get(what.name), Declared):
            raise module.refuse(node, f"`{what.name}` is declared twice: rename one")
        module.scope[what.name] = what
        module.declarations.append(what)

    def _import(self, module: Module, node: ast.ImportFrom) -> None:
        source = node.module or ""
        if node.level:
            raise module.refuse(node, "relative import: write the full name of the module")
        for alias in node.names:
            local = alias.asname or alias.name
            if source == "hv.lang":
                if alias.name not in WORDS:
                    raise module.refuse(node, f"hv.lang has no `{alias.name}`; docs/language.md lists its words")
                module.scope[local] = Builtin(alias.name)
            elif source == "hv.config":
                if alias.name not in self.config:
                    raise module.refuse(node, f"no configuration symbol `{alias.name}`: declare it in kconfig/Kconfig")
                module.scope[local] = Folded(alias.name, self.config[alias.name])
            elif source.split(".")[0] == "hv" or self._exists(source):
                module.scope[local] = self._imported(module, source, alias.name, node.lineno)
            else:
                raise module.refuse(
                    node, f"`{source}` cannot be imported: a program sees only modules of its own and hv.lang"
                )

    def _exists(self, name: str) -> bool:
        return self._path(name).exists()

    def _path(self, name: str) -> Path:
        """A module's file, in the first place that has it; where it would be in the project when none does."""
        for place in (self.root, self.root / UNIKERNELS):
            path = place.joinpath(*name.split("."))
            for file in (path.with_suffix(".py"), path / "__init__.py"):
                if file.exists():
                    return file
        return self.root.joinpath(*name.split(".")).with_suffix(".py")

    def _imported(self, module: Module, source: str, name: str, line: int) -> Any:
        inner = f"{source}.{name}"
        if inner in self.target.substitutes or self._exists(inner):
            module.imports.append(inner)
            return ModuleReference(self._load_for(module, inner, line))
        module.imports.append(source)
        return Imported(self._load_for(module, source, line), name, line)

    def _load_for(self, module: Module, name: str, line: int) -> Module:
        try:
            return self.load(name)
        except FileNotFoundError:
            raise module.refuse(line, f"no module `{name}`: its name is its path from the project's root") from None

    def look_up(self, module: Module, name: str) -> Any:
        """What a name stands for in a module, imports followed; None when it is not known there."""
        found = module.scope.get(name)
        seen = {(module.name, name)}
        while isinstance(found, Imported):
            key = (found.module.name, found.name)
            if key in seen or found.name not in found.module.scope:
                raise module.refuse(
                    found.line,
                    f"`{found.module.name}` has no `{found.name}`: that module declares what can be imported",
                )
            seen.add(key)
            found = found.module.scope[found.name]
        if found is None and name in PYTHON_WORDS:
            return Builtin(name)
        return found


def fold(program: Program, module: Module, node: ast.expr) -> Any:
    """The value of an expression over configuration symbols and literals; None when it is something else."""
    match node:
        case ast.Name(id=name):
            found = program.look_up(module, name)
            return found.value if isinstance(found, Folded) else None
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = fold(program, module, operand)
            return None if inner is None else not inner
        case ast.BoolOp(op=op, values=values):
            folded = [fold(program, module, v) for v in values]
            if any(v is None for v in folded):
                return None
            return all(folded) if isinstance(op, ast.And) else any(folded)
    return None


def walk_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Every statement of a body, nested ones too."""
    for node in body:
        yield node
        for name in ("body", "orelse", "finalbody"):
            yield from walk_statements(getattr(node, name, []))
        for case in getattr(node, "cases", []):
            yield from walk_statements(case.body)
        for handler in getattr(node, "handlers", []):
            yield from walk_statements(handler.body)
