"""Recursion is refused, direct or through what is only known when the whole program is, and the cycle is named."""

from pathlib import Path

import pytest

from compiler.errors import CompileError
from compiler.hostbuild import check_program


@pytest.mark.parametrize(
    ("text", "cycle"),
    [
        ("def f(n: u32) -> u32:\n    return f(n)\n", "r.f -> r.f"),
        (
            "def f() -> u32:\n    return g()\ndef g() -> u32:\n    return h()\ndef h() -> u32:\n    return f()\n",
            "r.f -> r.g -> r.h -> r.f",
        ),
        (
            "class S(Protocol):\n    def go(self) -> u32: ...\n"
            "class A(S):\n    n: u32\n    def go(self) -> u32:\n        return through(self)\n"
            "class B(S):\n    n: u32\n    def go(self) -> u32:\n        return 0\n"
            "def through(s: S) -> u32:\n    return s.go()\n",
            "r.through -> r.A.go -> r.through",
        ),
        (
            "class S(Protocol):\n    def go(self) -> u32: ...\n"
            "class A(S, Generic[T]):\n    n: T\n    def go(self) -> u32:\n        return through(self)\n"
            "class B(S):\n    n: u32\n    def go(self) -> u32:\n        return 0\n"
            "def through(s: S) -> u32:\n    return s.go()\n"
            "a: Final = A[u32]()\ndef main() -> u32:\n    return a.go()\n",
            "r.through -> r.A[u32].go -> r.through",
        ),
        (
            "def f(call: Callable[[], u32]) -> u32:\n    return call()\ndef g() -> u32:\n    return f(g)\n",
            "r.f -> r.g -> r.f",
        ),
        (
            "class L:\n    n: u32\n    def __iter__(self) -> Iterator[u32]:\n        yield f(self)\n"
            "def f(items: L) -> u32:\n    for x in items:\n        return x\n    return 0\n",
            "r.f -> r.f",
        ),
    ],
)
def test_recursion_is_named(tmp_path: Path, text: str, cycle: str) -> None:
    path = tmp_path / "r.py"
    path.write_text(
        'from hv.lang import Callable, Final, Generic, Iterator, Protocol, TypeVar, u32\nT = TypeVar("T")\n' + text
    )
    with pytest.raises(CompileError) as refused:
        check_program(path)
    assert f"recursion: {cycle};" in str(refused.value)
