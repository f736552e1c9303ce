"""The hypervisor alone on emulated PCs: it finds what there is, and its own faults end in a panic that says what and
where. The faults come from `crash=`, which debug builds understand (hv/common/kernel/crash.py).
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import places
import pytest

from devtools import build, qemu
from devtools.machine import Machine
from devtools.paths import BUILD
from devtools.scenario import Machine as Hardware

pytestmark = pytest.mark.x86

SECONDS = 60


class Boot(Protocol):
    def __call__(self, bootargs: str = ..., **hardware: object) -> Machine: ...


@pytest.fixture
def hypervisor(request: pytest.FixtureRequest) -> Iterator[Boot]:
    """Boots the hypervisor by its PVH entry; arguments are those of a scenario's [machine]."""
    with ExitStack() as running:

        def start(bootargs: str = "", **hardware: object) -> Machine:
            name = re.sub(r"[^\w-]+", "-", request.node.name)
            serial = BUILD / "serial" / f"{name}.log"
            serial.parent.mkdir(parents=True, exist_ok=True)
            payload = qemu.Payload(build.build("x86_pc"), bootargs=bootargs)
            known = {"arch": "x86", "machine": "q35", "cpu": "max", "cpus": 2, "memory": 512}
            machine = Hardware(**known | hardware)  # type: ignore[arg-type]
            return running.enter_context(Machine(qemu.command(machine, payload), serial))

        yield start


@pytest.mark.parametrize(
    ("cpu", "machine", "cpus", "memory"),
    [
        ("max", "q35", 4, 1024),
        ("max", "q35", 1, 128),
        ("max", "q35", 8, 6144),  # with memory above 4 GiB
        ("qemu64", "pc", 2, 256),  # no pages of 1 GiB, no SMEP, no SMAP
        ("EPYC", "q35", 2, 256),
        ("Haswell", "q35,hpet=off", 2, 256),
    ],
)
def test_finds_the_machine(hypervisor, cpu, machine, cpus, memory) -> None:
    running = hypervisor(cpu=cpu, machine=machine, cpus=cpus, memory=memory)
    assert running.expect(re.compile(r"\(hv\) [^\r\n]+"), SECONDS).startswith("(hv) Constrictor")
    free = running.expect(re.compile(r"\d+ MiB of memory are free"), SECONDS)
    assert memory - memory / 64 - 4 < int(free.split()[0]) < memory  # MiB: the frame table; image and firmware
    by = "PM timer" if "hpet=off" in machine else "HPET"
    running.expect(re.compile(rf"TSC \d+ kHz, local APIC timer \d+ kHz, by {by}"), SECONDS)
    running.expect(f"{cpus} of {cpus} CPUs run", SECONDS)
    running.expect_silence_of("PANIC", 1)


@pytest.mark.parametrize(("source", "said"), [("hpet", "HPET"), ("acpi", "PM timer")])
def test_other_clocks(hypervisor, source, said) -> None:
    """Where the TSC is no clock: the CPUs are started, and keys handled, by another's time."""
    machine = hypervisor(f"clocksource={source}", cpus=4)
    machine.expect(f"the clock is the {said}", SECONDS)
    machine.expect("4 of 4 CPUs run", SECONDS)
    machine.send("h")
    machine.expect("h: lists the keys", SECONDS)


def test_more_cpus_than_there_is_room_for(hypervisor) -> None:
    machine = hypervisor(cpus=10)
    machine.expect("2 CPUs stay off: this build has room for 8", SECONDS)
    machine.expect("8 of 8 CPUs run", SECONDS)


def test_keys_reach_the_hypervisor(hypervisor) -> None:
    machine = hypervisor()
    machine.expect("CPUs run", SECONDS)
    machine.send("h")
    machine.expect("h: lists the keys", SECONDS)


def test_tells_the_date(hypervisor) -> None:
    """By the machine's CMOS clock."""
    machine = hypervisor(extra=("-rtc", "base=2028-02-29T23:58:00"))
    machine.expect(re.compile(r"it is 2028-02-29 23:58:[0-5]\d UTC by the machine's clock"), SECONDS)
    machine.expect("CPUs run", SECONDS)


def test_unknown_options_are_told(hypervisor) -> None:
    machine = hypervisor("nonsense=1 loglvl=no-such-level")
    machine.expect('(hv) unknown option "nonsense"', SECONDS)
    machine.expect('(hv) option "loglvl=no-such-level" has a value that it cannot take', SECONDS)
    machine.expect("CPUs run", SECONDS)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("assert", r"hv/common/kernel/crash\.py:\d+: an assertion on purpose"),
        ("panic", "on purpose"),
        ("index", "array index out of bounds"),
        ("range", "value out of range"),
        ("null", "null reference or misaligned object"),
        ("read", "page fault: nothing is mapped, read at 0xffff82fffffffff8"),
        ("write", "page fault: protection, write at 0xffff808000000000"),
        ("execute", "page fault: protection, fetch at 0xffff8080"),
        ("overflow", "stack overflow"),
    ],
)
def test_faults_panic(hypervisor, kind, said) -> None:
    """With the reason, and a backtrace whose places are those of the source."""
    panic = places.panic_of(hypervisor(f"crash={kind} noreboot"), SECONDS)
    assert re.match(said, panic.reason)
    places.check(panic, kind, "hv/x86/main.py")


def test_a_panic_restarts_the_machine(hypervisor) -> None:
    machine = hypervisor("crash=assert")
    machine.expect("(hv) restarting", SECONDS)
    while machine.running:
        assert machine.read(SECONDS) or not machine.running, "the machine did not restart"
