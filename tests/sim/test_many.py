"""Thousands of CPUs: the kernel's parts that know all CPUs, and the scheduler, where scale is the question.

The library for so many CPUs is a build of its own, and is driven in a child.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from compiler.config import ConfigError, host_configuration
from compiler.hostbuild import MANY_CPUS, build_library
from tests.sim.many import MANY

ROOT = Path(__file__).resolve().parent.parent.parent
CPUS = 2000


def test_the_range_of_cpus_is_kept():
    assert host_configuration(NR_CPUS=MANY_CPUS)["CONFIG_NR_CPUS"] == MANY_CPUS
    with pytest.raises(ConfigError, match="NR_CPUS cannot be 5000"):
        host_configuration(NR_CPUS=5000)


@pytest.mark.long
@pytest.mark.parametrize("name", MANY)
def test_two_thousand_cpus(name):
    """In turns: every CPU ends, and what must hold afterwards does."""
    build_library("many")
    environment = os.environ | {"CONSTRICTOR_HOST_VARIANT": "many"}
    command = [sys.executable, "-m", "tests.sim.many", str(CPUS), name]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.fullmatch(rf"{name}: \d+ steps, \d+ switches\n", done.stdout)
