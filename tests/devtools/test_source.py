"""The source itself: lint, format, types, and the direction of imports."""

import importlib.util
import subprocess
import sys

import pytest

from devtools.paths import ROOT

CHECKS = {
    "ruff finds nothing": ["ruff", "check", "--quiet", "."],
    "ruff would format nothing otherwise": ["ruff", "format", "--check", "--quiet", "."],
    "mypy --strict finds nothing": ["mypy"],
    "imports go down the layers": ["compiler.layers"],
}


@pytest.mark.parametrize("command", CHECKS.values(), ids=CHECKS)
def test_source(command: list[str]) -> None:
    if importlib.util.find_spec(command[0]) is None:
        pytest.skip(f"there is no {command[0]} in this tree")
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
