"""Unikernels on the hypervisor for x86 that do what they can to break out, or to break down: each ends itself alone,
none keeps a CPU for long, and others get their sums right beside them.
"""

import re

import pytest
from console import ANSWER_SECONDS, ask_shell, assert_no_long_exit, assert_well, focus
from lives import ENDS, await_lives, lives_of

from devtools import build
from devtools.boot import Options
from devtools.machine import Machine

pytestmark = pytest.mark.x86

SECONDS = 90
HOSTILE_SECONDS = 300
BOTH = ("crash1", "crash2")
MEMORY = re.compile(r"\(hv\) memory: .*(?:\n.*)*?\(hv\)   \d+ vCPUs of \d+ bytes")
HOSTILE_ENDS = re.compile(r"\(hv\) d2 hostile vcpu\d+: .*the guest ends|hostile fail")
FREE = re.compile(r"banks: (\d+) free")
SLACK = 6
"""Frames: objects of both may lie in one slab or in two, and a guest binds its ports some time after its start."""
WHOLE = re.compile(r"\(hv\)   d\d+ crash[12]: 4099 frames, 6 of at most")


@pytest.mark.parametrize(
    ("scenario", "seed"),
    [
        ("x86-hostile", 1),
        *(pytest.param("x86-hostile", seed, marks=pytest.mark.long) for seed in range(2, 12)),
        pytest.param("x86-hostile-all", 1, marks=pytest.mark.long),
    ],
)
def test_a_hostile_guest_ends_its_own_attempts_only(booted, scenario: str, seed: int) -> None:
    """Hypercalls, registers, ports, the local APIC by every instruction, code that changes: its two vCPUs go on, and
    find nothing of each other's in their vector and debug registers.
    """
    machine = booted(scenario, Options(seed=seed))
    machine.expect("(d1 hostile) DONE hostile ok", HOSTILE_SECONDS)
    machine.expect("(hv) d1 hostile: powered off", SECONDS)
    assert_well(machine)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in (2, 3))])
def test_no_exit_takes_long_whatever_a_guest_does(booted, seed: int) -> None:
    """With time in instructions on one CPU: none of the hostile guest's exits, nor a step of the work that releases its
    memory, takes more than 100,000 of them.
    """
    timed = build.build("x86_exits")
    machine = booted("x86-hostile", Options(seed=seed, icount=True, hypervisor=timed))
    machine.expect("(hv) d1 hostile: powered off", 2 * HOSTILE_SECONDS)
    machine.expect("input to hypervisor", SECONDS)
    counts = assert_no_long_exit(machine)
    assert counts["port"] > 1000 and counts["VMMCALL"] > 100 and counts["nested page fault"] > 1000, counts
    assert_well(machine)


@pytest.mark.parametrize("lives", [20, pytest.param(500, marks=pytest.mark.long)])
def test_a_guest_that_ends_in_triple_faults_is_built_again_and_again(booted, lives: int) -> None:
    """IDTs of no bytes or in no memory, broken gates, segments, tasks and stacks, and all kinds of exceptions and
    interrupts: each ends that guest with one line, and nothing of it stays: not a frame for each life.
    """
    machine = booted("x86-crash", Options(added="conswitch=ax"))  # the keyboard stays at the hypervisor
    await_lives(machine, BOTH, 4)
    before = free_frames(machine)
    ended = await_lives(machine, BOTH, lives)
    assert before - free_frames(machine) <= SLACK < lives
    assert len({life.way for life in ended}) >= min(lives // 2, 30), ended
    assert len({life.trigger for life in ended}) >= min(lives // 3, 17), ended
    assert_well(machine)


def free_frames(machine: Machine) -> int:
    """While both domains are there with all memory and tables that they have, and stay while the frames are counted."""
    for _ in range(20):
        start = len(machine.output)
        machine.send("m")
        told = machine.expect(MEMORY, ANSWER_SECONDS)
        if len(WHOLE.findall(told)) == len(BOTH) and ENDS not in machine.output[start:]:
            return int(FREE.search(told)[1])
    raise AssertionError(machine.tail())


@pytest.mark.parametrize("lives", [12, pytest.param(100, marks=pytest.mark.long)])
def test_no_exit_takes_long_when_guests_break_down(booted, lives: int) -> None:
    """With time in instructions on one CPU: nor does any step of taking a guest apart and building it again."""
    timed = build.build("x86_exits")
    machine = booted("x86-crash", Options(icount=True, hypervisor=timed, added="conswitch=ax"))
    ended = await_lives(machine, BOTH, lives)
    assert len({life.way for life in ended}) >= min(lives // 2, 30), ended
    counts = assert_no_long_exit(machine)
    assert counts["shutdown"] >= lives // 3 and counts["step of long work"] > 100 * lives // 3, counts
    assert_well(machine)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 6))])
def test_hostile_guests_harm_nobody(booted, seed: int) -> None:
    """Beside one that does all it can to break out, and one that breaks down again and again, on two CPUs of three for
    all: a Linux gets its sums right and answers, and the others have gone on meanwhile.
    """
    machine = booted("x86-neighbours", Options(seed=seed))
    machine.expect("READY linux1", HOSTILE_SECONDS)
    before = len(lives_of(machine, "crash1"))
    machine.expect(re.compile(r"DONE linux1 (ok|fail[^\r\n]*)\r"), HOSTILE_SECONDS)
    assert "DONE linux1 ok" in machine.output, machine.tail()
    machine.expect(re.compile(r"\(d2 hostile\) round \d+ of"), SECONDS)
    assert len(await_lives(machine, ("crash1",), before + 2)) > before
    focus(machine, "linux1")
    ask_shell(machine, "linux1")
    assert not HOSTILE_ENDS.search(machine.output), machine.tail()
    assert_well(machine)
