"""Runs a program of the restricted Python under CPython, with the answers that it gives compiled.

`load(path)` rewrites the program's syntax tree (interpret_rewrite.py) so that values take the types that annotations
name, and executes it over the words of `hv.lang`. Modules that it imports are loaded the same way, anew for each
`load`, so that nothing is shared between two loads. A rule that is broken at run time raises `hv.lang.Trap`, or
`Mismatch` for what the compiler refuses; what the compiler refuses otherwise may run here.

Limit: a local without annotation whose first assignment in the text is not executed, and which then takes a literal,
has no width until it meets a typed value.
"""

from __future__ import annotations

import ast
import builtins
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import hv.lang
from compiler.interpret_rewrite import RUNTIME, rewrite
from hv.lang import classes, runtime

ROOT = Path(__file__).resolve().parent.parent
SUBSTITUTES = {"hv.arch": "hv.sim.arch"}


_compiled: dict[tuple[Path, int], CodeType] = {}  # by file and its time


class Loader:
    """One interpreted program: its modules by name."""

    def __init__(self, root: Path, config: dict[str, Any]) -> None:
        self.root = root
        self.config = config
        self.modules: dict[str, ModuleType] = {}

    def load(self, name: str) -> Any:
        """A module by its full name, for an import."""
        name = SUBSTITUTES.get(name, name)
        if name == "hv.lang":
            return hv.lang
        if name not in self.modules:
            if name == "hv.config":
                self.modules[name] = ModuleType(name)
                vars(self.modules[name]).update(self.config)
            else:
                self.load_file(name, self._path(name))
        return self.modules[name]

    def _code(self, path: Path) -> CodeType:
        key = (path, path.stat().st_mtime_ns)
        if key not in _compiled:
            tree = ast.parse(path.read_text(), filename=str(path))
            _compiled[key] = compile(rewrite(tree, self.exists), str(path), "exec")
        return _compiled[key]

    def _path(self, name: str) -> Path:
        path = self.root.joinpath(*name.split("."))
        plain = path.with_suffix(".py")
        return plain if plain.exists() else path / "__init__.py"

    def exists(self, name: str) -> bool:
        return SUBSTITUTES.get(name, name) in self.modules or self._path(name).exists()

    def load_file(self, name: str, path: Path) -> ModuleType:
        module = ModuleType(name)
        module.__file__ = str(path)
        self.modules[name] = module
        module.__dict__.update(runtime.PYTHON_WORDS)
        module.__dict__[RUNTIME] = runtime
        module.__dict__["__load__"] = self.load
        module.__dict__["__builtins__"] = builtins
        exec(self._code(path), module.__dict__)
        return module


def load(path: Path, config: dict[str, Any] | None = None) -> Any:
    """Loads a program's root module. Its functions are called as Python's, with plain integers."""
    loader = Loader(ROOT, config or {})
    classes.Processors.count = loader.config.get("CONFIG_NR_CPUS", 4)
    classes.Processors.current = 0
    return loader.load_file(path.stem, path)
