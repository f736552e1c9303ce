"""Every debug key of the hypervisor's console, typed on real machines: each prints what is true of the machine."""

import re

import pytest
from console import focus

from devtools import boot, build, qemu, scenario
from devtools.machine import Machine
from devtools.paths import BUILD
from devtools.scenario import Machine as Hardware

SECONDS = 60
CPUS = 2
MEMORY = 512  # MiB
LISTED = re.compile(r"^\(hv\) (.): \S", re.MULTILINE)

COMMON = {
    "h": [r"\(hv\) h: lists the keys"],
    "t": [
        r"\(hv\) CPU 0: \d{6,} ns, counter 0x[0-9a-f]{4,}",
        r"\(hv\) CPU 1: \d{6,} ns, counter 0x[0-9a-f]{4,}, -?\d+ ns ahead, give or take \d+",
    ],
    "T": [r"\(hv\) tracing is off: 0 pages for each CPU, events 0xffff000", r"\(hv\) CPU 1: 0 records"],
    "u": [r"\(hv\)   [1-9]\d{3,} frames are free"],
    "H": [r"\(hv\) heap: [1-9]\d{4,} frames are free", r"\(hv\)   order \d+: \d+ blocks of \d+ KiB"],
    "*": [r"\(hv\) key t: shows the CPUs' clocks", r"\(hv\) key a: ", r"\(hv\) key q: "],
    "C": [r"\(hv\) PANIC on CPU 0", r"\(hv\) the key C was pressed", r"hv/common/kernel/keys\.py:\d+"],
    "R": [r"\(hv\) restarting: the key R was pressed"],
}
"""For each key what it must print, in this order."""

GUESTS = COMMON | {
    "q": [
        r"\(hv\) d1 one: RUNNING, 16 MiB and [1-9]\d* frames of tables, 1 refs",
        r"\(hv\)   vCPU 0: (RUNNING|RUNNABLE|BLOCKED) on CPU 0 of 0, ran [1-9]\d+ us, 0 pauses",
        r"\(hv\) d2 two: RUNNING, 24 MiB and [1-9]\d* frames of tables, 1 refs",
        r"\(hv\)   vCPU 0: (RUNNING|RUNNABLE|BLOCKED) on CPU [01] of 0-7, ran [1-9]\d+ us, 0 pauses",
    ],
    "i": [
        r"\(hv\) interrupt 0: edge, between CPUs, enabled, hv/arm64/main\.py:\d+, taken \d+ [1-9]\d*",
        r"\(hv\) interrupt 26: level, of each CPU, enabled, hv/arm64/main\.py:\d+, taken [1-9]\d* \d+",
        r"\(hv\) interrupt 27: level, of each CPU, for the guest that runs, .* hv/arm64/vtimer\.py:\d+,",
        r"\(hv\) interrupt 33: level, to CPU 0, enabled, (active, )?hv/arm64/main\.py:\d+, taken [1-9]\d* 0",
    ],
    "m": [
        r"\(hv\) memory: 131072 frames of 4 KiB in 1 banks: [1-9]\d{4,} free, [1-9]\d+ taken by the hypervisor",
        r"\(hv\)   d1 one: 4096 frames, [1-9]\d* of at most \d+ frames of tables",
        r"\(hv\)   d2 two: 6144 frames, [1-9]\d* of at most \d+ frames of tables",
        r"\(hv\)   2 domains of \d{3,} bytes",
        r"\(hv\)   2 vCPUs of \d{3,} bytes",
    ],
    "r": [r"\(hv\) CPU 0: (idle|d\d (one|two) vCPU 0)", r"\(hv\) CPU 1: (idle|d\d (one|two) vCPU 0)"],
    "a": [r"\(hv\) CPU 0: \d+ timers, at \d{6,} ns", r"\(hv\) CPU 1: \d+ timers, at \d{6,} ns"],
}

BARE = COMMON | {
    "q": [],
    "i": [
        r"\(hv\) vector 0x30: interrupt 4, input 4 of the I/O APIC at 0, edge, active high, to APIC ID 0, enabled, "
        r"hv/x86/\w+\.py:\d+, taken [1-9]\d* 0",
        r"\(hv\) vector 0x31: interrupt 2, .*, enabled, hv/x86/reminder\.py:\d+, taken [1-9]\d* 0",
        r"\(hv\) vector 0xfa: timer of each CPU, taken \d+ \d+",
        r"\(hv\) vector 0xfb: between CPUs, taken \d+ [1-9]\d*",
    ],
    "m": [
        r"\(hv\) memory: \d{6} frames of 4 KiB in \d+ banks: [1-9]\d{4,} free, [1-9]\d* taken by the hypervisor",
        r"\(hv\)   0 domains of \d{3,} bytes",
        r"\(hv\)   0 vCPUs of \d{3,} bytes",
    ],
    "r": [r"\(hv\) CPU 0: (?:idle|runs no vCPUs)", r"\(hv\) CPU 1: idle"],
    "a": [r"\(hv\) CPU 0: \d+ timers, at \d{6,} ns", r"\(hv\) CPU 1: \d+ timers, at \d{6,} ns"],
}


def type_all(machine: Machine, expected: dict[str, list[str]]) -> None:
    """The keys that `h` lists and those that are expected are the same; the last is R, and C comes before."""
    machine.send("h")
    machine.expect("*: shows what all keys show", SECONDS)
    assert sorted(set(LISTED.findall(machine.output))) == sorted(expected), "a key without an expectation, or no key"
    for key in [key for key in expected if key not in "CR"]:
        machine.send(key)
        for line in expected[key]:
            machine.expect(re.compile(line), SECONDS)
        machine.send("\x02")  # no key: behind what the one before has printed
        machine.expect("no such key", SECONDS)


@pytest.mark.arm64
@pytest.mark.parametrize("last", ["C", "R"])
def test_each_key_beside_guests(tmp_path, last) -> None:
    (tmp_path / "keys.toml").write_text(
        f'[scenario]\ndescription = "two unikernels"\n[machine]\ncpus = {CPUS}\nmemory = {MEMORY}\n'
        '[[domain]]\nname = "one"\nmemory = 16\ncpus = 1\naffinity = "0"\nkernel = "guest:hello"\nvpl011 = true\n'
        '[[domain]]\nname = "two"\nmemory = 24\ncpus = 1\nkernel = "guest:hello"\nvpl011 = true\n'
    )
    with Machine(boot.command(scenario.load("keys", tmp_path))) as machine:
        for _ in range(2):
            machine.expect("READY hello", SECONDS)
        focus(machine, "hypervisor")
        ends_with(machine, GUESTS, last)


@pytest.mark.x86
@pytest.mark.parametrize("last", ["C", "R"])
def test_each_key_on_a_pc(last) -> None:
    payload = qemu.Payload(build.build("x86_pc"))
    hardware = Hardware(arch="x86", machine="q35", cpu="max", cpus=CPUS, memory=MEMORY)
    serial = BUILD / "serial" / f"keys-x86-{last}.log"
    serial.parent.mkdir(parents=True, exist_ok=True)
    with Machine(qemu.command(hardware, payload), serial) as machine:
        machine.expect(f"{CPUS} of {CPUS} CPUs run", SECONDS)
        ends_with(machine, BARE, last)


def ends_with(machine: Machine, expected: dict[str, list[str]], last: str) -> None:
    """One end of the machine in each run: a panic, or a restart."""
    if last == "C":
        type_all(machine, expected)
    machine.send(last)
    for line in expected[last]:
        machine.expect(re.compile(line), SECONDS)
    while machine.running:
        assert machine.read(SECONDS) or not machine.running, "the machine did not restart"
