"""Domains whose memory has colours of the last cache, on a CPU whose registers tell how many there are."""

import re

import pytest
from console import ask_shell, assert_well, focus

from devtools import boot
from devtools.machine import Machine

pytestmark = pytest.mark.arm64

SECONDS = 60
BOOT_SECONDS = 180
COLORED = {"d1 linux1": (65536, "0-7,12"), "d2 hello": (4096, "16-19")}


def assert_colors(machine: Machine) -> None:
    """The hypervisor, which has the keyboard, counts the frames of each domain, in its own frame table."""
    machine.send("m")
    lines = machine.expect(re.compile(r"\(hv\) memory:.*?\d+ vCPUs of", re.DOTALL), SECONDS)
    told = dict(re.findall(r"\(hv\)   (d\d+ \w+): \d+ frames, [^\r\n]*\r?\n\(hv\)     ([^\r\n]*)", lines))
    assert told == {name: f"{frames} of colours {colors}, 0 of others" for name, (frames, colors) in COLORED.items()}, (
        lines
    )


def test_guests_have_the_colors_that_they_are_given(booted) -> None:
    """Linux and a unikernel boot from single frames of their colours, beside one that has any, and Linux does so again
    when it has reset itself."""
    machine = booted("arm64-colors")
    machine.expect("(hv) the last cache has 32 colours", SECONDS)
    machine.expect_all(["READY linux1", "READY hello"], BOOT_SECONDS)
    focus(machine, "hypervisor")
    assert_colors(machine)
    focus(machine, "linux1")
    ask_shell(machine, "linux1")
    machine.send("reboot -f\r")
    machine.expect("(hv) d1 linux1: reset", SECONDS)
    machine.expect("READY linux1", BOOT_SECONDS)
    ask_shell(machine, "linux1")
    focus(machine, "hypervisor")
    assert_colors(machine)
    assert_well(machine)


def test_every_frame_behind_a_guest_has_one_of_its_colors(booted) -> None:
    """The hypervisor walks the map of each coloured domain, leaf by leaf, and of its next life."""
    machine = booted("arm64-colors", boot.Options(added="selftest=colors"))
    assert machine.expect(re.compile(r"\(hv\) (DONE selftest [^\r\n]*|PANIC[^\r\n]*)"), BOOT_SECONDS) == (
        "(hv) DONE selftest ok"
    ), machine.tail()
    assert "selftest colors: ok" in machine.output
