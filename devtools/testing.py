"""`./dev test`: pytest over the host tests, the whole-machine tests, or both, with its closing line as the last one.

Checks of the source (ruff, mypy, layers) are tests like the others, in tests/devtools/test_source.py, so that one
closing line and one exit status speak for everything.
"""

import argparse
import os
import subprocess
import sys

from devtools import build
from devtools.paths import ROOT
from devtools.report import Problem, progress

HOST = (("arm64_virt", "host"),)
MACHINES = (("arm64_virt", "machine"), ("x86_pc", "machine"))
BUILDS = {"host": HOST, "qemu": MACHINES, "all": (*HOST, *MACHINES), "long": (*HOST, *MACHINES)}
FOLDERS = {"host": ("tests",), "qemu": ("qemu-tests",), "all": ("tests", "qemu-tests"), "long": ("tests", "qemu-tests")}
MOST_WORKERS = 8


def main(arguments: argparse.Namespace) -> int:
    """Pytest's exit status: 0 when everything passed."""
    for config, target in BUILDS[arguments.what]:
        try:
            build.build(config, target)
        except Problem as problem:  # tests that need no build still tell something, and those that do will fail
            progress(f"going on to the tests without it: {problem}")
    command = pytest(arguments.what)
    if arguments.k:
        command += ["-k", arguments.k]
    if arguments.stop:
        command.append("-x")
    return subprocess.run(command, cwd=ROOT).returncode


def pytest(what: str) -> list[str]:
    """The command for a set. Tests with an emulator share a worker, one after the other, beside the host tests."""
    command = [sys.executable, "-m", "pytest", *FOLDERS[what]]
    if what == "long":
        command.append("--hypothesis-profile=long")
    else:
        command += ["-m", "not long"]
    if what != "qemu":
        workers = min(os.cpu_count() or 1, MOST_WORKERS)
        command += ["-n", str(max(workers, 2)), "--dist", "loadgroup"]
    return command
