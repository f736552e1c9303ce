"""Machines that start otherwise than QEMU's own firmware has it: spin tables, and CPUs that nobody can start.

The firmware is ours (firmware/firmware.S), at EL3, so the hypervisor also sees interrupt controllers from the
non-secure side here.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from firmware import TABLE, Firmware, Tree, command

from devtools import build, qemu
from devtools.machine import Machine
from devtools.scenario import Machine as Hardware

pytestmark = pytest.mark.arm64

SECONDS = 60
CPUS = 4


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """Boots the hypervisor behind our firmware; `change` gets the tree, in which a spin table holds all CPUs."""
    with ExitStack() as running:

        def start(
            change: Callable[[Tree], object] = lambda tree: None, gic_version: int = 3, shared: bool = False
        ) -> Machine:
            machine = Hardware(cpus=CPUS, memory=512, gic_version=gic_version)
            tree = Tree(qemu.base_tree(machine)).spin_table(CPUS)
            change(tree)
            firmware = Firmware(gic_version, shared=shared).build(tmp_path)
            return running.enter_context(Machine(command(machine, firmware, build.build(), tree.bytes(), tmp_path)))

        yield start


@pytest.mark.parametrize("gic_version", [3, 2])
def test_cpus_start_from_a_spin_table(board, gic_version) -> None:
    machine = board(gic_version=gic_version)
    machine.expect("4 of 4 CPUs run", SECONDS)
    machine.send("h")
    machine.expect("h: lists the keys", SECONDS)


def test_cpus_may_share_a_word(board) -> None:
    """All leave the firmware at once then, and each still starts as itself, in its turn."""
    machine = board(lambda tree: [tree.start(cpu, "spin-table", TABLE + 8) for cpu in range(CPUS)], shared=True)
    machine.expect("4 of 4 CPUs run", SECONDS)


def test_what_cannot_start_is_told(board) -> None:
    """A method that is unknown, a word that is none, and firmware that is not there; the last CPU starts."""

    def change(tree: Tree) -> None:
        tree.start(1, "smoke-signals")
        tree.start(2, "psci")

    machine = board(change)
    machine.expect('CPU 1: cpu@1: enable-method is "smoke-signals", and only psci and spin-table are known', SECONDS)
    machine.expect("CPU 2: the firmware refuses to start it, error -1", SECONDS)
    machine.expect("2 of 4 CPUs run", SECONDS)


def test_a_word_that_is_none_is_told(board) -> None:
    machine = board(lambda tree: tree.start(3, "spin-table", 0))
    machine.expect('CPU 3: cpu@3: property "cpu-release-addr" is missing or malformed', SECONDS)
    machine.expect("3 of 4 CPUs run", SECONDS)
