"""Programs compiled for the host as a shared library, and driven through cffi by their Python names."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import cffi

from compiler import driver
from compiler.config import host_configuration
from compiler.program import Program

ROOT = Path(__file__).resolve().parent.parent


class Raised(Exception):
    """A compiled function raised an Errno."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Errno {code}")
        self.code = code


class Library:
    """A compiled program. `call` takes a function's name in the root module or its full Python name."""

    def __init__(self, path: Path, declarations: str, symbols: dict[str, Any], root: str) -> None:
        self.ffi = cffi.FFI()
        self.ffi.cdef(declarations)
        self.lib = self.ffi.dlopen(str(path))
        self.symbols = symbols
        self.root = root
        self.path = path

    def function(self, name: str) -> tuple[Any, dict[str, Any]]:
        entry = self.symbols["functions"].get(name) or self.symbols["functions"].get(f"{self.root}.{name}")
        if entry is None:
            raise KeyError(f"no compiled function {name}")
        return getattr(self.lib, entry["c"]), entry

    def call(self, name: str, *arguments: Any) -> Any:
        """Calls a function; its value comes back, an Errno is raised as `Raised`."""
        function, entry = self.function(name)
        result = function(*(self._argument(a) for a in arguments))
        if not entry["raises"]:
            return result
        error = result if isinstance(result, int) else result.error
        if error:
            raise Raised(error)
        return None if isinstance(result, int) else result.value

    def _argument(self, value: Any) -> Any:
        if isinstance(value, str):
            data = value.encode()
            kept = self.ffi.new("char[]", data)
            text = self.ffi.new("text *", {"data": kept, "length": len(data)})
            self._kept.append((kept, text))
            return text[0]
        return value

    _kept: list[Any] = []

    def variable(self, name: str) -> Any:
        """A module variable or static object (a pointer to it)."""
        entry = self.symbols["variables"].get(name) or self.symbols["variables"][f"{self.root}.{name}"]
        return self.ffi.addressof(self.lib, entry["c"])

    def new(self, name: str) -> Any:
        """A zeroed object of a class, kept alive by the returned pointer."""
        entry = self.symbols["classes"].get(name) or self.symbols["classes"][f"{self.root}.{name}"]
        return self.ffi.new(f"{entry} *")

    def text(self, value: Any) -> str:
        return bytes(self.ffi.buffer(value.data, value.length)).decode()


def _link(output: driver.Output, objects: list[Path], flags: tuple[str, ...], made: Path) -> None:
    done = subprocess.run([driver.CLANG, "-shared", "-fuse-ld=lld-19", *flags, "-o", str(made), *map(str, objects)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)


def compile_program(path: Path, config: dict[str, Any] | None = None) -> Library:
    """Compiles one file that imports only hv.lang (and what lies beside it)."""
    sources = hashlib.sha256(path.read_bytes() + repr(sorted((config or {}).items())).encode())
    for part in sorted((ROOT / "compiler").glob("*.py")):
        sources.update(part.read_bytes())
    directory = ROOT / "build" / "programs" / f"{path.stem}-{sources.hexdigest()[:16]}"
    made = directory / "program.so"
    if not made.exists():
        program = Program(ROOT, driver.TARGETS["host"], config or {})
        program.load_file(path.stem, path)
        output = driver.emit(driver.front_end(program), directory, jobs=1)
        objects = driver.compile_objects(output, driver.TARGETS["host"].clang, "host", jobs=1)
        _link(output, objects, (), made)
    return Library(made, (directory / "declarations.h").read_text(), json.loads((directory / "symbols.json").read_text()), path.stem)


def check_program(path: Path, config: dict[str, Any] | None = None) -> None:
    """Types and lowers a program without building it. Raises CompileError."""
    program = Program(ROOT, driver.TARGETS["host"], config or {})
    program.load_file(path.stem, path)
    driver.front_end(program)


SANITIZERS = ("-fsanitize=address", "-shared-libasan")


@cache
def library(sanitize: bool = False) -> Library:
    """All of hv that runs on a host: the modules that `hv/sim/roots.py` imports, with the simulated machine as hv.arch."""
    directory = ROOT / "build" / "host"
    program = Program(ROOT, driver.TARGETS["host"], host_configuration())
    program.load("hv.sim.roots")
    output = driver.emit(driver.front_end(program), directory)
    extra = SANITIZERS if sanitize else ()
    tag = "asan" if sanitize else "host"
    made = directory / f"hv-{tag}.so"
    objects = driver.compile_objects(output, (*driver.TARGETS["host"].clang, *extra), tag)
    if not made.exists() or any(o.stat().st_mtime > made.stat().st_mtime for o in objects):
        _link(output, objects, extra, made)
    return Library(made, output.declarations, output.symbols, "hv.sim.roots")


__all__ = ["Library", "Raised", "ast", "check_program", "compile_program", "library"]
