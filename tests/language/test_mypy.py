"""mypy accepts every feature program, and with the plugin sees what it shall see in `mypy_cases.py`."""

import re
from pathlib import Path

from mypy import api

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
CASES = HERE / "mypy_cases.py"
FOLDED = HERE / "features" / "configuration.py"  # what is folded away names what does not exist


def mypy(*paths: Path) -> list[str]:
    arguments = ["--config-file", str(ROOT / "pyproject.toml"), "--explicit-package-bases", "--no-error-summary"]
    said, problems, _ = api.run([*arguments, *map(str, paths)])
    assert not problems
    return [line for line in said.splitlines() if ": error: " in line]


def test_feature_programs() -> None:
    assert mypy(*sorted(set((HERE / "features").glob("*.py")) - {FOLDED})) == []


def test_cases() -> None:
    wanted = {
        number: text
        for number, line in enumerate(CASES.read_text().splitlines(), start=1)
        for text in re.findall(r"# mypy: (.*)", line)
    }
    said = {int(line.split(":")[1]): line for line in mypy(CASES)}
    assert said.keys() == wanted.keys()
    assert [line for number, line in said.items() if wanted[number] not in line] == []
