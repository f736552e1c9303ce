"""What the language refuses is refused where it stands, with the rule.

A program in `refusals/` begins with `# refuse: LINE: text of the message`; below, `# module: NAME` gives it a module's
name other than its file's, and `# target: NAME` compiles it for another target than the host.
"""

import re
from pathlib import Path

import pytest

from compiler import driver
from compiler.errors import CompileError
from compiler.header import Header
from compiler.program import Program

ROOT = Path(__file__).resolve().parents[2]
REFUSALS = sorted((Path(__file__).parent / "refusals").glob("*.py"))
WANTED = re.compile(r"# refuse: (\d+): (.+)\n(?:# module: (\S+)\n)?(?:# target: (\S+)\n)?")


def compile_program(path: Path) -> None:
    wanted = WANTED.match(path.read_text())
    assert wanted is not None, "no `# refuse: LINE: text`"
    program = Program(ROOT, driver.TARGETS[wanted[4] or "host"], {})
    program.load_file(wanted[3] or path.stem, path)
    Header(driver.front_end(program)).text()


@pytest.mark.parametrize("path", REFUSALS, ids=lambda path: path.stem)
def test_refused(path: Path) -> None:
    with pytest.raises(CompileError) as refusal:
        compile_program(path)
    wanted = WANTED.match(path.read_text())
    assert wanted is not None
    assert refusal.value.file == str(path.relative_to(ROOT))
    assert refusal.value.line == int(wanted[1]), refusal.value.message
    assert wanted[2] in refusal.value.message
