"""Storms over what CPUs share: in turns, where each seed is an interleaving of its own, and under ThreadSanitizer.

ThreadSanitizer watches the whole library in a child process, and knows what each atomic operation orders: it finds two
accesses that nothing orders, also when they happened to come one after the other, and on Arm could be seen otherwise.
"""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compiler.hostbuild import build_library
from tests.common.cpus import STUCK, in_turns
from tests.common.host import ending
from tests.sim.storms import RACE_ROUNDS, SOUND, TOO_EARLY, Storm, deaf

ROOT = Path(__file__).resolve().parent.parent.parent
RUNTIME = "libclang_rt.tsan-x86_64.so"
SYMBOLIZER = "/usr/lib/llvm-19/bin/llvm-symbolizer"
HALTED = 66
RACE = 66  # exit status of a child in which one was found

pytestmark = pytest.mark.xdist_group("storms")  # the library for ThreadSanitizer is built once


@pytest.fixture(scope="session")
def environment():
    runtime = subprocess.run(
        ["clang-19", f"-print-file-name={RUNTIME}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert Path(runtime).is_absolute(), f"clang-19 has no {RUNTIME}: install libclang-rt-19-dev"
    build_library("tsan")
    options = f"exitcode={RACE} report_thread_leaks=0 external_symbolizer_path={SYMBOLIZER}"
    return os.environ | {"CONSTRICTOR_HOST_VARIANT": "tsan", "LD_PRELOAD": runtime, "TSAN_OPTIONS": options}


def watched(environment, rounds, *names):
    """The exit status after these storms, and what ThreadSanitizer said."""
    command = [sys.executable, "-m", "tests.sim.storms", str(rounds), *names]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", SOUND)
def test_in_turns(name):
    for seed in range(4):
        SOUND[name].run(functools.partial(in_turns, seed), 20, seed)


def test_cpus_that_do_not_answer_while_they_wait_get_stuck():
    """So the storm `waits` has what it is about: a holder of a lock that waits for those who wait for the lock."""
    status, said = ending(lambda: Storm(deaf).run(functools.partial(in_turns, 1, limit=300_000), 20))
    assert status == STUCK and "the steps are used up" in said, said


@pytest.mark.long
@pytest.mark.parametrize("name", SOUND)
def test_in_many_turns(name):
    for seed in range(1000):
        SOUND[name].run(functools.partial(in_turns, seed), 50, seed)


def test_what_is_freed_while_others_read_it_is_seen():
    """Without a grace period some order of events ends in a CPU that reads what is no longer there. The machine halts;
    its first CPU to halt has the last word, so that there is no text to look at."""
    ends = [
        ending(lambda seed=seed: TOO_EARLY.run(functools.partial(in_turns, seed), 50, seed))[0] for seed in range(4)
    ]
    assert HALTED in ends and set(ends) <= {0, HALTED}


def test_no_race(environment):
    """All of them in one child: starting one costs more than a short storm."""
    status, said = watched(environment, 300, *SOUND)
    assert status == 0, said[:6000]


@pytest.mark.long
@pytest.mark.parametrize("name", SOUND)
def test_no_race_in_a_long_storm(environment, name):
    status, said = watched(environment, 20_000, name)
    assert status == 0, said[:6000]


@pytest.mark.parametrize(("name", "rounds"), RACE_ROUNDS.items())
def test_a_race_is_found(environment, name, rounds):
    status, said = watched(environment, rounds, name)
    assert status == RACE and "data race" in said and "hv/sim/broken.py" in said, said[:6000]
