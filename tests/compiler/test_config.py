"""Configuration symbols fold parts of a program away."""

from pathlib import Path

import pytest

from compiler import driver
from compiler.errors import CompileError
from compiler.hostbuild import check_program
from compiler.program import Program

FOLDED = """
from hv.config import CONFIG_SHELL, CONFIG_SLOTS
from hv.lang import Final, array, u32

if CONFIG_SHELL:
    from hv.missing import nothing

    def shell() -> u32:
        return nothing()

    class Shell:
        n: u32

        def run(self) -> u32:
            return self.n
else:
    def no_shell() -> u32:
        return 0

slots: Final[array[u32, CONFIG_SLOTS]] = array()

def main() -> u32:
    if CONFIG_SHELL:
        return shell()
    return u32(len(slots))
"""


def names(tmp_path: Path, shell: bool) -> set[str]:
    path = tmp_path / "folded.py"
    path.write_text(FOLDED)
    program = Program(tmp_path, driver.TARGETS["host"], {"CONFIG_SHELL": shell, "CONFIG_SLOTS": 5})
    program.load_file("folded", path)
    return {f.qualified for f in driver.front_end(program).lowered.values()}


def test_a_disabled_symbol_leaves_no_function(tmp_path: Path) -> None:
    assert names(tmp_path, False) == {"folded.main", "folded.no_shell"}


def test_an_enabled_symbol_brings_its_imports(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match=r"no module `hv\.missing`"):
        names(tmp_path, True)
    (tmp_path / "hv").mkdir()
    (tmp_path / "hv" / "missing.py").write_text("from hv.lang import u32\n\ndef nothing() -> u32:\n    return 0\n")
    assert {"folded.shell", "folded.Shell.run", "hv.missing.nothing"} < names(tmp_path, True)


def test_an_unknown_symbol(tmp_path: Path) -> None:
    path = tmp_path / "unknown.py"
    path.write_text("from hv.config import CONFIG_NOBODY\n")
    with pytest.raises(CompileError, match=r"unknown.py:1: no configuration symbol `CONFIG_NOBODY`"):
        check_program(path, {})
