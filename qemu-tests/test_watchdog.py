"""Domains' watchdogs: guests that pat theirs run on, and of those that hang becomes what their description says."""

from pathlib import Path

import pytest
from console import assert_well

SECONDS = 120
LIVES = 3
ARM = "[machine]\ncpus = 2\nmemory = 512\n"
PC = """[machine]
arch = "x86"
machine = "q35"
cpu = "EPYC,+svm"
cpus = 3
memory = 512
boot = "iso"
firmware = "bios"
"""
DOMAINS = """
[[domain]]
name = "patted"
memory = 16
cpus = 1
kernel = "guest:watchdog"
bootargs = "timeout=5 pats=8"

[[domain]]
name = "hangs"
memory = 16
cpus = 1
kernel = "guest:watchdog"

[[domain]]
name = "ends"
memory = 16
cpus = 1
kernel = "guest:watchdog"
on_watchdog = "destroy"
"""


@pytest.mark.parametrize(
    "machine",
    [pytest.param(ARM, marks=pytest.mark.arm64, id="arm64"), pytest.param(PC, marks=pytest.mark.x86, id="x86")],
)
def test_a_guest_that_does_not_pat_its_watchdog(booted, tmp_path: Path, machine: str) -> None:
    """One is built anew again and again, its memory clear; one is gone; one pats its watchdog longer than that waits,
    ends it, and outlives it."""
    (tmp_path / "watched.toml").write_text(f'[scenario]\ndescription = "watchdogs"\n{machine}{DOMAINS}')
    started = booted("watched", folder=tmp_path)
    started.expect_all(
        [f"(d{i} {name}) READY watchdog" for i, name in enumerate(("patted", "hangs", "ends"), 1)], SECONDS
    )
    started.expect("(hv) d3 ends: its watchdog ran out", SECONDS)
    for _ in range(LIVES):
        started.expect("(hv) d2 hangs: its watchdog ran out", SECONDS)
        started.expect("(d2 hangs) READY watchdog", SECONDS)
    started.expect("(d1 patted) DONE watchdog ok", SECONDS)
    started.expect("(hv) d1 patted: powered off", SECONDS)
    counts = {name: started.output.count(f"{name}) READY watchdog") for name in ("patted", "ends")}
    assert counts == {"patted": 1, "ends": 1}
    assert "fail" not in started.output and started.output.count("d3 ends") == 2
    assert_well(started)
