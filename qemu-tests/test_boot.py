"""The hypervisor alone on emulated machines: it finds what there is, takes keys, and its own faults end in a panic that
says what and where. The faults come from `crash=`, which debug builds understand (hv/common/kernel/crash.py).
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import places
import pytest

from devtools import boot, build, qemu, scenario
from devtools.machine import Machine
from devtools.paths import BUILD
from devtools.scenario import Machine as Hardware

pytestmark = pytest.mark.arm64

SECONDS = 60


class Boot(Protocol):
    def __call__(self, bootargs: str = ..., **hardware: object) -> Machine: ...


@pytest.fixture
def hypervisor(request: pytest.FixtureRequest) -> Iterator[Boot]:
    """Boots the hypervisor without domains; arguments are those of a scenario's [machine]."""
    with ExitStack() as running:

        def start(bootargs: str = "", **hardware: object) -> Machine:
            name = re.sub(r"[^\w-]+", "-", request.node.name)
            serial = BUILD / "serial" / f"{name}.log"
            serial.parent.mkdir(parents=True, exist_ok=True)
            payload = qemu.Payload(build.build(), bootargs=bootargs)
            machine = Hardware(**{"cpus": 2, "memory": 512} | hardware)  # type: ignore[arg-type]
            return running.enter_context(Machine(qemu.command(machine, payload), serial))

        yield start


@pytest.mark.parametrize(
    ("cpu", "cpus", "memory"),
    [("cortex-a57", 4, 1024), ("cortex-a53", 1, 128), ("cortex-a72", 8, 4096), ("max", 2, 1024), ("max", 1, 128)],
)
def test_finds_the_machine(hypervisor, cpu, cpus, memory) -> None:
    machine = hypervisor(cpu=cpu, cpus=cpus, memory=memory)
    assert machine.expect(re.compile(r"\(hv\) [^\r\n]+"), SECONDS).startswith("(hv) Constrictor")
    free = machine.expect(re.compile(r"\d+ MiB of memory are free"), SECONDS)
    assert memory - memory / 64 - 4 < int(free.split()[0]) < memory  # MiB: the frame table; image and tree
    machine.expect(f"{cpus} of {cpus} CPUs run", SECONDS)
    machine.expect_silence_of("PANIC", 1)


@pytest.mark.parametrize("cpus", [1, 4, pytest.param(8, marks=pytest.mark.long)])
def test_runs_on_a_gicv2(hypervisor, cpus) -> None:
    """All CPUs take the boot CPU's kicks, and the console's interrupt comes through."""
    machine = hypervisor(gic_version=2, cpus=cpus)
    machine.expect(f"{cpus} of {cpus} CPUs run", SECONDS)
    machine.send("h")
    machine.expect("h: lists the keys", SECONDS)
    machine.expect_silence_of("PANIC", 1)


def test_a_panic_stops_the_cpus_of_a_gicv2(hypervisor) -> None:
    machine = hypervisor("crash=assert noreboot", gic_version=2, cpus=4)
    machine.expect("(hv) PANIC on CPU 0", SECONDS)
    machine.expect("(hv) halted", SECONDS)


@pytest.mark.parametrize(
    ("cpu", "numbers"),
    [("cortex-a57", {"832075", "834220", "1319537"}), ("cortex-a53", {"843419"}), ("cortex-a76", set())],
)
def test_errata_are_told(hypervisor, cpu, numbers) -> None:
    """Those of the revisions that QEMU's CPUs have, once for all CPUs."""
    machine = hypervisor(cpu=cpu)
    machine.expect("2 of 2 CPUs run", SECONDS)
    assert sorted(re.findall(r"erratum (\d+):", machine.output)) == sorted(numbers)


@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a72"])
def test_a_guest_runs_with_a_workaround_that_is_asked_for(tmp_path, cpu) -> None:
    """Cleaning with invalidation keeps what was written: the kernel that was copied runs."""
    (tmp_path / "asked.toml").write_text(
        f'[scenario]\ndescription = "a unikernel"\n[machine]\ncpu = "{cpu}"\ncpus = 2\nmemory = 512\n'
        '[hypervisor]\ncommand_line = "erratum=826319"\n'
        '[[domain]]\nname = "one"\nmemory = 16\ncpus = 1\nkernel = "guest:hello"\nvpl011 = true\n'
    )
    with Machine(boot.command(scenario.load("asked", tmp_path))) as machine:
        machine.expect("erratum 826319: cache lines are invalidated when they are cleaned", SECONDS)
        machine.expect("READY hello", SECONDS)


def test_domains_are_refused_on_a_gicv2(tmp_path) -> None:
    """Each with a line that says why, and the hypervisor goes on."""
    domain = '[[domain]]\nname = "{}"\nmemory = 16\ncpus = 1\nkernel = "guest:hello"\n'
    (tmp_path / "gicv2.toml").write_text(
        '[scenario]\ndescription = "two domains"\n[machine]\ngic_version = 2\ncpus = 2\nmemory = 512\n'
        + domain.format("one")
        + domain.format("two")
    )
    with Machine(boot.command(scenario.load("gicv2", tmp_path))) as machine:
        for name in ("one", "two"):
            why = "guests need a GICv3, and this machine has a GICv2: the domain is not built"
            machine.expect(f"(hv) {name}: {why}", SECONDS)
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
    """By the machine's PL031."""
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
        ("read", "data abort: translation fault at level [0-3], read at 0xfffffffff8"),
        ("write", "data abort: permission fault, write at 0x8000000000"),
        ("execute", "instruction abort: permission fault"),
        ("overflow", "stack overflow"),
    ],
)
def test_faults_panic(hypervisor, kind, said) -> None:
    """With the reason, and a backtrace whose places are those of the source."""
    panic = places.panic_of(hypervisor(f"crash={kind} noreboot"), SECONDS)
    assert re.match(said, panic.reason)
    places.check(panic, kind, "hv/arm64/main.py")


def test_a_panic_restarts_the_machine(hypervisor) -> None:
    machine = hypervisor("crash=assert")
    machine.expect("(hv) restarting", SECONDS)
    while machine.running:
        assert machine.read(SECONDS) or not machine.running, "the machine did not restart"
