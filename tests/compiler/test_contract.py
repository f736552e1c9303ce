"""The module that stands for hv.arch must have every function of the contract, with its signature."""

from pathlib import Path

import pytest

from compiler import driver
from compiler.errors import CompileError
from compiler.program import Program, Target
from compiler.whole import Compiler

CONTRACT = """
from hv.lang import raises, u32

def relax() -> None: ...

@raises
def start(cpu: u32) -> u32: ...
"""


def with_architecture(root: Path, substitute: str) -> Compiler:
    (root / "hv" / "one").mkdir(parents=True)
    (root / "hv" / "arch.py").write_text(CONTRACT)
    (root / "hv" / "one" / "arch.py").write_text("from hv.lang import Errno, i32, raises, u32, u64\n" + substitute)
    (root / "hv" / "main.py").write_text("from hv.arch import relax\n\ndef main() -> None:\n    relax()\n")
    program = Program(root, Target("one", {"hv.arch": "hv.one.arch"}, hosted=True, clang=()), {})
    program.load("hv.main")
    return driver.front_end(program)


RELAX = "def relax() -> None:\n    pass\n"
START = "@raises\ndef start(cpu: u32) -> u32:\n    return cpu\n"


def test_an_architecture_that_fits(tmp_path: Path) -> None:
    compiler = with_architecture(tmp_path, RELAX + START)
    assert {f.qualified for f in compiler.lowered.values()} == {
        "hv.main.main",
        "hv.one.arch.relax",
        "hv.one.arch.start",
    }


@pytest.mark.parametrize(
    ("substitute", "said"),
    [
        (RELAX, "hv/one/arch.py:1: `start` of hv/arch.py:7 is missing"),
        (RELAX + START.replace("cpu: u32", "cpu: u64").replace("return cpu", "return 0"), "another signature"),
        (RELAX + START.replace("-> u32", "-> u64").replace("return cpu", "return 0"), "another signature"),
        (RELAX + START.replace("@raises\n", ""), "another signature"),
        (RELAX.replace("()", "(n: u32)") + START, "takes 0 arguments|needs `n`|another signature"),
        ("relax: u32 = 0\n" + START, "not|missing"),
    ],
)
def test_an_architecture_that_does_not_fit(tmp_path: Path, substitute: str, said: str) -> None:
    with pytest.raises(CompileError, match=said):
        with_architecture(tmp_path, substitute)
