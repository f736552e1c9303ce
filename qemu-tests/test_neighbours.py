"""What a guest feels of its neighbours on one CPU, with time counted in instructions: each run is repeatable."""

import re

import pytest
from console import assert_well, focus

from devtools.paths import SCENARIOS

pytestmark = pytest.mark.arm64

SECONDS = 300
SLICE = 10_000_000  # ns, of the scheduler's turns
DELAYS = re.compile(r"\(d\d latency\) (\w+): (\d+) timers, late by ns: p50=(\d+) p90=(\d+) p99=(\d+) max=(\d+)")
AWAY = re.compile(r"\(d\d (\w+)\) away (\d+) times")


def test_a_hostile_neighbour_delays_timers_little(booted) -> None:
    """Of a guest's timers 99 of 100 are late by at most 1.2 times what they are beside Linux alone, and one turn, when
    a guest that tries to break out shares the CPU. Linux beside both gets its sums right.
    """
    machine = booted("neighbours")
    machine.expect_all(["DONE latency ok", "DONE linux1 ok", "DONE hostile ok"], SECONDS)
    said = machine.output
    delays = {found[1]: [int(ns) for ns in found.groups()[2:]] for found in DELAYS.finditer(said)}
    p99 = {name: each[2] for name, each in delays.items()}
    assert set(p99) == {"quiet", "loud"} and p99["quiet"] > 0
    assert p99["loud"] <= 1.2 * p99["quiet"] + SLICE, said
    assert said.index("READY hostile") < said.index("loud: ") < said.index("DONE hostile"), (
        "it was not loud all the time"
    )
    focus(machine, "linux1")
    assert_well(machine)


def test_a_guest_alone_on_its_cpu_is_left_alone(booted) -> None:
    """In a second of spinning it is at most twice in the hypervisor: there is no tick."""
    machine = booted("arm64-alone")
    machine.expect("DONE spin ok", SECONDS)
    ((_, away),) = AWAY.findall(machine.output)
    assert int(away) <= 2


def test_who_shares_its_cpu_sees_that(booted, tmp_path) -> None:
    """Two that spin take turns of 10 ms: each is away as often as the other has one. So the count above would show a
    tick.
    """
    alone = (SCENARIOS / "arm64-alone.toml").read_text()
    domain = alone[alone.index("[[domain]]") :]
    other = domain.replace('"spin"', '"other"', 1)
    (tmp_path / "both.toml").write_text(f"{alone}\n{other}")
    machine = booted("both", folder=tmp_path)
    machine.expect_all(["(d1 spin) DONE", "(d2 other) DONE"], SECONDS)
    away = dict(AWAY.findall(machine.output))
    assert set(away) == {"spin", "other"}
    assert max(int(count) for count in away.values()) >= 45
