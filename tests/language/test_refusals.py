"""What the language refuses is refused where it stands, with the rule.

A program in `refusals/` begins with `# refuse: LINE: text of the message`; `# module: NAME` below gives it a module's
name other than its file's.
"""

import re
from pathlib import Path

import pytest

from compiler import driver
from compiler.errors import CompileError
from compiler.program import Program

ROOT = Path(__file__).resolve().parents[2]
REFUSALS = sorted((Path(__file__).parent / "refusals").glob("*.py"))
WANTED = re.compile(r"# refuse: (\d+): (.+)\n(?:# module: (\S+)\n)?")


@pytest.mark.parametrize("path", REFUSALS, ids=lambda path: path.stem)
def test_refused(path: Path) -> None:
    wanted = WANTED.match(path.read_text())
    assert wanted is not None, "no `# refuse: LINE: text`"
    program = Program(ROOT, driver.TARGETS["host"], {})
    with pytest.raises(CompileError) as refusal:
        program.load_file(wanted[3] or path.stem, path)
        driver.front_end(program)
    assert refusal.value.file == str(path.relative_to(ROOT))
    assert refusal.value.line == int(wanted[1]), refusal.value.message
    assert wanted[2] in refusal.value.message
