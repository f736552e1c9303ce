"""Machines that start otherwise than QEMU's own firmware has it: spin tables, and CPUs that nobody can start.

The firmware is ours (firmware/firmware.S), at EL3, so the hypervisor also sees interrupt controllers from the
non-secure side here.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from console import ask_hello
from firmware import TABLE, Firmware, Tree, command

from devtools import boot, build, qemu, scenario
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


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """Boots the hypervisor with a unikernel behind firmware that answers so of its workarounds 1 and 3."""
    with ExitStack() as running:

        def start(cpu: str, *answers: int) -> Machine:
            text = (
                f'[scenario]\ndescription = "a unikernel"\n[machine]\ncpu = "{cpu}"\ncpus = {CPUS}\nmemory = 512\n'
                '[[domain]]\nname = "one"\nmemory = 16\ncpus = 1\nkernel = "guest:hello"\nvpl011 = true\n'
            )
            (tmp_path / "guarded.toml").write_text(text)
            chosen = scenario.load("guarded", tmp_path)
            payload = boot.on_arm64(chosen, boot.Options())
            assert payload.dtb is not None
            tree = Tree(payload.dtb.read_bytes()).spin_table(CPUS, psci=True)
            firmware = Firmware(answers=answers).build(tmp_path)
            words = command(chosen.machine, firmware, payload.kernel, tree.bytes(), tmp_path, payload.loads)
            return running.enter_context(Machine(words))

        yield start


@pytest.mark.parametrize(
    ("answers", "function"),
    [((0, 0), 0x8000_3FFF), ((0, -1), 0x8000_8000), ((-1, 0), 0x8000_3FFF)],
)
def test_the_firmware_is_called_at_exits(guarded, answers, function) -> None:
    """Where it says that the CPU needs it; the guest notices nothing."""
    machine = guarded("cortex-a72", *answers)
    machine.expect(f"at each exit of a guest the firmware is called, function {function:#x}", SECONDS)
    machine.expect("4 of 4 CPUs run", SECONDS)
    machine.expect_all([f"function {function:x}", "READY hello"], SECONDS)
    for _ in range(3):
        ask_hello(machine)


@pytest.mark.parametrize(
    ("cpu", "answers", "branches"),
    [("cortex-a57", (-1, -1), 8), ("neoverse-n1", (0, -1), 24), ("cortex-a53", (0, 0), None), ("max", (1, 1), None)],
)
def test_branches_displace_the_history(guarded, cpu, answers, branches) -> None:
    machine = guarded(cpu, *answers)
    if branches is not None:
        machine.expect(f"at each exit of a guest {branches} branches displace what it left in the history", SECONDS)
    machine.expect("4 of 4 CPUs run", SECONDS)
    machine.expect("READY hello", SECONDS)
    ask_hello(machine)
    assert "(firmware)" not in machine.output
    assert (branches is None) == ("branches displace" not in machine.output)


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
