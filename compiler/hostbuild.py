"""Programs compiled for the host as a shared library, and driven through cffi by their Python names."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import cffi

from compiler import driver, foreign
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
        foreign.declare(self.ffi, declarations)
        self.lib = self.ffi.dlopen(str(path))
        self.symbols = symbols
        self.root = root
        self.path = path
        self._kept: list[Any] = []

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
        return None if isinstance(result, int) else self._owned(result.value)

    def _owned(self, value: Any) -> Any:
        """A record that lives by itself: cffi lets one that came from inside another dangle."""
        if isinstance(value, self.ffi.CData) and self.ffi.typeof(value).kind == "struct":
            return self.ffi.new(self.ffi.getctype(self.ffi.typeof(value), "*"), value)[0]
        return value

    def _argument(self, value: Any) -> Any:
        if isinstance(value, str):
            data = value.encode()
            kept = self.ffi.new("char[]", data)
            text = self.ffi.new("text *", {"data": kept, "length": len(data)})
            self._kept.append((kept, text))
            return text[0]
        return value

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
    """Links beside the target and renames, so that nobody loads half a library."""
    part = made.with_suffix(f".{os.getpid()}.part")
    done = subprocess.run(
        [driver.CLANG, "-shared", "-fuse-ld=lld-19", *flags, "-o", str(part), *map(str, objects)],
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    part.rename(made)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One process builds in a directory, others wait and find it built."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".compile.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _digest(paths: list[Path], more: object = None) -> str:
    sum_ = hashlib.sha256(repr(more).encode())
    for path in [*sorted((ROOT / "compiler").glob("*.py")), *sorted(paths)]:
        sum_.update(str(path).encode() + path.read_bytes())
    return sum_.hexdigest()


def compile_program(path: Path, config: dict[str, Any] | None = None) -> Library:
    """Compiles one file that imports only hv.lang (and what lies beside it)."""
    directory = ROOT / "build" / "programs" / f"{path.stem}-{_digest([path], sorted((config or {}).items()))[:16]}"
    made = directory / "program.so"
    with _locked(directory):
        if not made.exists():
            program = Program(ROOT, driver.TARGETS["host"], config or {})
            program.load_file(path.stem, path)
            output = driver.emit(driver.front_end(program), directory, jobs=1)
            objects = driver.compile_objects(output, driver.TARGETS["host"].clang, "host", jobs=1)
            _link(output, objects, (), made)
    return Library(
        made,
        (directory / "declarations.h").read_text(),
        json.loads((directory / "symbols.json").read_text()),
        path.stem,
    )


def check_program(path: Path, config: dict[str, Any] | None = None) -> None:
    """Types and lowers a program without building it. Raises CompileError."""
    program = Program(ROOT, driver.TARGETS["host"], config or {})
    program.load_file(path.stem, path)
    driver.front_end(program)


SANITIZERS = {
    "plain": (),
    "asan": ("-fsanitize=address", "-shared-libsan"),
    "tsan": ("-fsanitize=thread", "-shared-libsan"),
    "coverage": ("--coverage",),
    "many": (),
}
MANY_CPUS = 4096  # of the variant `many`


def sources() -> list[Path]:
    """Files that the library may be made from."""
    return [path for folder in ("hv", "loader") for path in (ROOT / folder).rglob("*.py")]


def build_library(variant: str = "plain") -> Path:
    """All of hv that runs on a host: what hv/sim/roots.py imports, hv.sim.arch as hv.arch. Raises CompileError."""
    many = variant == "many"
    directory = ROOT / "build" / ("host-many-cpus" if many else "host")
    made = directory / ("libhv.so" if variant == "plain" else f"libhv-{variant}.so")
    with _locked(directory):
        inputs = [*sources(), ROOT / "hv" / "listed.toml", *(ROOT / "kconfig").glob("*")]
        digest = _digest([p for p in inputs if p.is_file()], variant)
        stamp = directory / f"{variant}.library-digest"
        if made.exists() and stamp.exists() and stamp.read_text() == digest:
            return made
        program = Program(ROOT, driver.TARGETS["host"], host_configuration(**({"NR_CPUS": MANY_CPUS} if many else {})))
        program.load(driver.ROOTS["host"])
        output = driver.emit(driver.front_end(program), directory)
        extra = SANITIZERS[variant]
        objects = driver.compile_objects(output, (*driver.TARGETS["host"].clang, *extra), variant)
        _link(output, objects, extra, made)
        stamp.write_text(digest)
    return made


@cache
def library() -> Library:
    """The host library, built when something changed; CONSTRICTOR_HOST_VARIANT chooses plain, asan, tsan,
    coverage, or many: for thousands of CPUs."""
    made = build_library(os.environ.get("CONSTRICTOR_HOST_VARIANT", "plain"))
    directory = made.parent
    return Library(
        made,
        (directory / "declarations.h").read_text(),
        json.loads((directory / "symbols.json").read_text()),
        driver.ROOTS["host"],
    )
