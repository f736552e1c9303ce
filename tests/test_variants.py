"""The host tests again, on other builds of the same C: with AddressSanitizer, and with line counters."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devtools import coverage

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = "libclang_rt.asan-x86_64.so"

pytestmark = pytest.mark.long


def test_nothing_in_common_reaches_outside_its_memory() -> None:
    """The tests of hv/common and the loader pass when AddressSanitizer watches every access of the library."""
    runtime = subprocess.run(
        ["clang-19", f"-print-file-name={RUNTIME}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert Path(runtime).is_absolute(), f"clang-19 has no {RUNTIME}: install libclang-rt-19-dev"
    environment = os.environ | {
        "CONSTRICTOR_HOST_VARIANT": "asan",
        "LD_PRELOAD": runtime,
        "ASAN_OPTIONS": "detect_leaks=0",
    }
    folders = [*(f"tests/common/{part}" for part in ("lib", "kernel", "mm")), "tests/loader"]
    command = [sys.executable, "-m", "pytest", *folders, "-q", "-m", "not long"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_most_lines_of_common_are_executed() -> None:
    """The host tests execute at least 85 % of the lines of hv/common."""
    assert coverage.main() == 0
