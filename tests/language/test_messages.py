"""Each refusal in the compiler is earned by a program in `refusals/`, and says the rule and a way out in one tone."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from compiler.errors import CompileError
from tests.language.test_refusals import REFUSALS, ROOT, compile_program

Site = tuple[str, int]
ELSEWHERE = {
    "check_contract": "tests/compiler/test_contract.py",
    "emit": "tests/compiler/test_cython_backend.py: what the front end let through and the back end cannot write",
}


def raises(path: Path) -> dict[Site, ast.Raise]:
    """The statements of a file that refuse a program."""
    found = {}
    tree = ast.parse(path.read_text())
    elsewhere = {
        inner
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and function.name in ELSEWHERE
        for inner in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node not in elsewhere:
            called = node.exc.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name in ("refuse", "CompileError"):
                found[path.name, node.lineno] = node
    return found


@cache
def sites() -> dict[Site, ast.Raise]:
    return {site: node for path in sorted((ROOT / "compiler").glob("*.py")) for site, node in raises(path).items()}


def site_of(error: CompileError) -> Site | None:
    """The statement that raised."""
    trace = error.__traceback__
    assert trace is not None
    while trace.tb_next is not None:
        trace = trace.tb_next
    file = Path(trace.tb_frame.f_code.co_filename).name
    for (name, line), node in sites().items():
        if name == file and line <= trace.tb_lineno <= (node.end_lineno or line):
            return name, line
    return None


@cache
def earned() -> dict[Site, str]:
    """The statements that refuse a program, with what they said of the last."""
    found = {}
    for path in REFUSALS:
        try:
            compile_program(path)
        except CompileError as error:
            site = site_of(error)
            if site is not None:
                found[site] = error.message
    return found


def test_each_refusal_is_earned() -> None:
    missing = [f"compiler/{name}:{line}" for name, line in sites() if (name, line) not in earned()]
    assert not missing, "no program in refusals/ earns: " + ", ".join(missing)


def test_one_tone() -> None:
    """The rule, then behind a colon, semicolon or comma the way out; no full stop, nobody accused."""
    wrong = {}
    for site, message in earned().items():
        words = message.lower()
        if words.startswith("this is not python"):
            continue  # the rest is Python's own
        if message != message.strip() or message.endswith((".", "!", "?")) or "\n" in message:
            wrong[site] = message
        elif not any(mark in message for mark in (": ", "; ", ", ")):
            wrong[site] = message
        elif any(word in words for word in ("invalid", "illegal", "you ", "please", "sorry")):
            wrong[site] = message
    assert not wrong
