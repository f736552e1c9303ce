"""`python -m devtools.coverage`: which lines of hv/common the host tests execute, in Python lines.

The host library is built with gcov's counters, which follow the Python lines that the compiler names in its C.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

from compiler.hostbuild import build_library
from devtools.paths import BUILD, ROOT

SUMMARY = re.compile(r"File '([^']+)'\nLines executed:([\d.]+)% of (\d+)")
WANTED = 85.0


def counted() -> dict[str, tuple[float, int]]:
    """Per Python file of hv/common: lines executed and lines that there are."""
    found: dict[str, tuple[float, int]] = {}
    for counters in sorted((BUILD / "host").glob("hv_common_*.coverage.gcda")):
        own = ("hv/common/", counters.name.split(".")[0])
        said = subprocess.run(
            ["llvm-cov-19", "gcov", "-n", str(counters)], capture_output=True, text=True, cwd=ROOT, check=False
        ).stdout
        for name, share, lines in SUMMARY.findall(said):
            if name.startswith(own[0]) and name.removesuffix(".py").replace("/", "_") == own[1]:
                found[name] = (float(share) / 100 * int(lines), int(lines))
    return found


def main() -> int:
    build_library("coverage")
    for old in (BUILD / "host").glob("*.gcda"):
        old.unlink()
    environment = os.environ | {"CONSTRICTOR_HOST_VARIANT": "coverage"}
    tests = [sys.executable, "-m", "pytest", "tests/common", "-q", "-m", "not long", "-n", "2"]
    done = subprocess.run(tests, cwd=ROOT, env=environment, check=False)
    found = counted()
    for name, (executed, lines) in sorted(found.items()):
        print(f"{name:45} {executed / lines:6.1%} of {lines}")
    executed, lines = sum(e for e, _ in found.values()), sum(n for _, n in found.values())
    if lines == 0:
        print("no counters were written", file=sys.stderr)
        return 1
    print(f"{'hv/common':45} {executed / lines:6.1%} of {lines}; wanted: {WANTED}%")
    return done.returncode or int(100 * executed / lines < WANTED)


if __name__ == "__main__":
    sys.exit(main())
