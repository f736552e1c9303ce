"""A stub of assembly that another module defines, as on the simulated machine: calls reach it, in any order."""

from pathlib import Path

import pytest

from compiler import driver
from compiler.errors import CompileError
from compiler.program import Program, Target
from compiler.whole import Compiler

STUB = "from hv.lang import extern, u64\n\n@extern\ndef tell(address: u64) -> u64: ...\n"
DEFINED = "from hv.lang import export, u32, u64\n\n@export\ndef tell(address: u64) -> u64:\n    return address\n"
MAIN = "from hv import {first}, {second}\nfrom hv.lang import u64\n\ndef main() -> u64:\n    return stub.tell(1)\n"


def program(root: Path, defined: str, order: tuple[str, str]) -> Compiler:
    (root / "hv").mkdir(parents=True)
    (root / "hv" / "listed.toml").write_text('linkage = ["hv.stub", "hv.model"]\n')
    (root / "hv" / "stub.py").write_text(STUB)
    (root / "hv" / "model.py").write_text(defined)
    (root / "hv" / "main.py").write_text(MAIN.format(first=order[0], second=order[1]))
    made = Program(root, Target("one", {}, hosted=True, clang=()), {})
    made.load("hv.main")
    return driver.front_end(made)


@pytest.mark.parametrize("order", [("stub", "model"), ("model", "stub")])
def test_the_definition_stands_for_the_stub(tmp_path: Path, order: tuple[str, str]) -> None:
    lowered = program(tmp_path, DEFINED, order).lowered
    assert lowered["tell"].qualified == "hv.model.tell"


@pytest.mark.parametrize(
    "defined",
    [
        DEFINED.replace("address: u64", "address: u32").replace("return address", "return 0"),
        DEFINED.replace("-> u64", "-> u32").replace("return address", "return 0"),
        DEFINED.replace("(address: u64)", "()").replace("return address", "return 0"),
    ],
)
def test_other_types_are_refused(tmp_path: Path, defined: str) -> None:
    with pytest.raises(CompileError, match="are both `tell` in C"):
        program(tmp_path, defined, ("stub", "model"))


def test_recursion_through_a_stub_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match=r"recursion: .*hv\.model\.tell"):
        program(
            tmp_path,
            DEFINED.replace("return address", "return stub.tell(address)").replace(
                "\n\n@export", "\nfrom hv import stub\n\n@export", 1
            ),
            ("stub", "model"),
        )
