"""The hypervisor alone on emulated machines of both architectures: it finds what there is, takes keys, and its own
faults end in a panic that says what and where. The faults come from `crash=`, which debug builds understand
(hv/common/kernel/crash.py).
"""

import re

import places
import pytest

SECONDS = 60
SAID = {
    "assert": r"hv/common/kernel/crash\.py:\d+: an assertion on purpose",
    "panic": "on purpose",
    "index": "array index out of bounds",
    "range": "value out of range",
    "overflow": "stack overflow",
}
SAID_OF_ACCESSES = {
    "arm64": {
        "read": "data abort: translation fault at level [0-3], read at 0xfffffffff8",
        "write": "data abort: permission fault, write at 0x8000000000",
        "execute": "instruction abort: permission fault",
        "null": "data abort: translation fault at level 0, write at 0x0, through a reference that nobody has set",
    },
    "x86": {
        "read": "page fault: nothing is mapped, read at 0xffff82fffffffff8",
        "write": "page fault: protection, write at 0xffff808000000000",
        "execute": "page fault: protection, fetch at 0xffff8080",
        "null": "page fault: nothing is mapped, write at 0x0, through a reference that nobody has set",
    },
}
"""How the reason of a panic begins, by the kind of fault."""


def on(arch: str, *values: object) -> object:
    """One architecture's parameters."""
    return pytest.param(arch, *values, marks=getattr(pytest.mark, arch))


BOTH = pytest.mark.parametrize("arch", [on("arm64"), on("x86")])


@pytest.mark.parametrize(
    ("arch", "cpu", "machine", "cpus", "memory"),
    [
        on("arm64", "cortex-a57", "virt", 4, 1024),
        on("arm64", "cortex-a53", "virt", 1, 128),
        on("arm64", "cortex-a72", "virt", 8, 4096),
        on("arm64", "max", "virt", 2, 1024),
        on("arm64", "max", "virt", 1, 128),
        on("x86", "max", "q35", 4, 1024),
        on("x86", "max", "q35", 1, 128),
        on("x86", "max", "q35", 8, 6144),  # with memory above 4 GiB
        on("x86", "qemu64", "pc", 2, 256),  # no pages of 1 GiB, no SMEP, no SMAP
        on("x86", "EPYC", "q35", 2, 256),
        on("x86", "Haswell", "q35,hpet=off", 2, 256),
    ],
)
def test_finds_the_machine(hypervisor, cpu, machine, cpus, memory) -> None:
    running = hypervisor(cpu=cpu, machine=machine, cpus=cpus, memory=memory)
    assert running.expect(re.compile(r"\(hv\) [^\r\n]+"), SECONDS).startswith("(hv) Constrictor")
    free = running.expect(re.compile(r"\d+ MiB of memory are free"), SECONDS)
    assert memory - memory / 64 - 4 < int(free.split()[0]) < memory  # MiB: the frame table; image, tree or firmware
    running.expect(f"{cpus} of {cpus} CPUs run", SECONDS)
    running.expect_silence_of("PANIC", 1)


@BOTH
def test_more_cpus_than_there_is_room_for(hypervisor) -> None:
    machine = hypervisor(cpus=10)
    machine.expect("2 CPUs stay off: this build has room for 8", SECONDS)
    machine.expect("8 of 8 CPUs run", SECONDS)


@BOTH
def test_keys_reach_the_hypervisor(hypervisor) -> None:
    machine = hypervisor()
    machine.expect("CPUs run", SECONDS)
    machine.send("h")
    machine.expect("h: lists the keys", SECONDS)


@BOTH
def test_tells_the_date(hypervisor) -> None:
    """By the machine's PL031, or a PC's CMOS clock."""
    machine = hypervisor(extra=("-rtc", "base=2028-02-29T23:58:00"))
    machine.expect(re.compile(r"it is 2028-02-29 23:58:[0-5]\d UTC by the machine's clock"), SECONDS)
    machine.expect("CPUs run", SECONDS)


@BOTH
def test_unknown_options_are_told(hypervisor) -> None:
    machine = hypervisor("nonsense=1 loglvl=no-such-level")
    machine.expect('(hv) unknown option "nonsense"', SECONDS)
    machine.expect('(hv) option "loglvl=no-such-level" has a value that it cannot take', SECONDS)
    machine.expect("CPUs run", SECONDS)


@BOTH
@pytest.mark.parametrize("kind", places.KINDS)
def test_faults_panic(hypervisor, arch, kind) -> None:
    """With the reason, and a backtrace whose places are those of the source."""
    panic = places.panic_of(hypervisor(f"crash={kind} noreboot"), SECONDS)
    assert re.match((SAID | SAID_OF_ACCESSES[arch])[kind], panic.reason)
    places.check(panic, kind, f"hv/{arch}/main.py")


@BOTH
def test_a_panic_restarts_the_machine(hypervisor) -> None:
    machine = hypervisor("crash=assert")
    machine.expect("(hv) restarting", SECONDS)
    while machine.running:
        assert machine.read(SECONDS) or not machine.running, "the machine did not restart"


WATCHED = "watchdog_timeout=2 noreboot"
FOUND = "Watchdog timer detects that CPU0 is stuck!"
LOOP = (places.CRASH, places.line_of(places.CRASH, places.HANG))


@pytest.mark.parametrize("arch", [on("x86")])
def test_a_cpu_that_hangs_says_where(hypervisor) -> None:
    """It has interrupts masked, and is reached by an NMI."""
    panic = places.panic_of(hypervisor(f"crash=hang {WATCHED}", cpus=4), SECONDS)
    assert panic.reason == FOUND
    assert panic.places[0] == LOOP
    places.check(panic, "overflow", "hv/x86/main.py")  # hang is called where fill_stack would be


@pytest.mark.parametrize("arch", [on("x86")])
def test_a_cpu_that_waits_for_one_that_hangs_says_so_and_where_that_is(hypervisor) -> None:
    """Both have interrupts masked. The first is found, as the second's neighbour is the first; a panic stops both."""
    machine = hypervisor(f"crash=hang-call {WATCHED}", cpus=4)
    panic = places.panic_of(machine, SECONDS)
    assert panic.reason == FOUND
    own, _, other = machine.output.partition("CPU 1 was stopped with interrupts masked:")
    assert re.search(r"0x[0-9a-f]+ hv/common/kernel/crosscall\.py:\d+\r", own), machine.output
    assert re.match(rf"\s+\(hv\)   0x[0-9a-f]+ {LOOP[0]}:{LOOP[1]}\r", other), machine.output


@pytest.mark.parametrize("arch", [on("arm64")])
@pytest.mark.parametrize("gic_version", [2, 3])
def test_a_cpu_that_hangs_is_told_by_its_neighbour(hypervisor, gic_version) -> None:
    """Nothing reaches a CPU with interrupts masked: the last one, whose neighbour it is, tells what can be seen."""
    machine = hypervisor(f"crash=hang {WATCHED}", cpus=4, gic_version=gic_version)
    panic = places.panic_of(machine, SECONDS)
    assert panic.reason == FOUND
    assert re.search(r"PANIC on CPU 3\s", machine.output)
    for said in ("it does not answer", "its heart has not beaten once in", "it runs no vCPU", "CPU 0 does not stop"):
        assert said in machine.output


@BOTH
def test_no_cpu_watches_itself(hypervisor) -> None:
    machine = hypervisor("watchdog", cpus=1)
    machine.expect("(hv) watchdog: off, since no other CPU is there to watch this one", SECONDS)
