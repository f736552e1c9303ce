"""Runs a function of a feature program interpreted and compiled, and says what came of it: a number or a trap."""

from __future__ import annotations

import ast
import atexit
import fcntl
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies

from compiler import hostbuild, interpret
from hv.lang import Trap

FEATURES = Path(__file__).parent / "features"
CONFIG = {
    "CONFIG_PRESENT": True,
    "CONFIG_ABSENT": False,
    "CONFIG_LIMIT": 12,
    "CONFIG_LABEL": "lab",
    "CONFIG_NR_CPUS": 4,
}
TRAP = "trap"

Answer = int | str


@dataclass(frozen=True)
class Case:
    """A function of a feature program. `parameters` are the names of their types."""

    program: str
    function: str
    parameters: tuple[str, ...]

    @property
    def path(self) -> Path:
        return FEATURES / f"{self.program}.py"

    def __str__(self) -> str:
        return f"{self.program}.{self.function}"


@cache
def cases() -> list[Case]:
    found = []
    for path in sorted(FEATURES.glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith(("test_", "trap_", "calc_")):
                types = tuple(ast.unparse(a.annotation) for a in node.args.args if a.annotation is not None)
                found.append(Case(path.stem, node.name, types))
    return found


def arguments(case: Case) -> strategies.SearchStrategy[tuple[Any, ...]]:
    """Arguments of the case's types, near the edges more often than not."""
    return strategies.tuples(*(_values(name) for name in case.parameters))


def _values(name: str) -> strategies.SearchStrategy[Any]:
    if name == "bool":
        return strategies.booleans()
    bits, signed = int(name[1:]), name[0] == "i"
    low = -(1 << (bits - 1)) if signed else 0
    high = (1 << (bits - signed)) - 1
    wanted = (low, low + 1, low // 2, -1, 0, 1, 2, 7, 8, 31, 32, 63, 64, high // 2, high // 2 + 1, high - 1, high)
    edges = [n for n in wanted if low <= n <= high]
    return strategies.sampled_from(edges) | strategies.integers(low, high)


def interpreted(case: Case, *given: int) -> Answer:
    """The answer of a program that was loaded anew."""
    module = interpret.load(case.path, CONFIG)
    try:
        return int(getattr(module, case.function)(*given))
    except Trap:
        return TRAP


@cache
def library(program: str) -> hostbuild.Library:
    """A feature program, compiled once also when tests run in several processes."""
    directory = hostbuild.ROOT / "build" / "programs"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / f"{program}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return hostbuild.compile_program(FEATURES / f"{program}.py", CONFIG)


def compiled(case: Case, *given: int) -> Answer:
    """The answer of a process whose program is as at its start."""
    built = library(case.program)
    request = [str(built.path), str(built.path.parent / "declarations.h"), built.function(case.function)[1]["c"], given]
    server = _server()
    assert server.stdin is not None and server.stdout is not None
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    answer: Answer = json.loads(server.stdout.readline())
    return answer


@cache
def _server() -> subprocess.Popen[str]:
    serving = Path(__file__).with_name("serving.py")
    server = subprocess.Popen(
        [sys.executable, str(serving)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(hostbuild.ROOT)},
    )
    atexit.register(server.kill)
    return server
