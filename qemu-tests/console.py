"""The serial line that the hypervisor and its guests share, as a person at the keyboard uses it."""

import re

from devtools.machine import Machine

SWITCH = b"\x01\x01\x01"  # Ctrl-A three times
INPUT_TO = re.compile(r"\(hv\) input to (hypervisor|d\d+ \S+)")
MOST_TARGETS = 16
ANSWER_SECONDS = 30
LONGEST_EXIT = 100_000  # instructions; one takes a nanosecond of the machine's time
EXITS = re.compile(r"\(hv\)   ([^:]+): (\d+), mean \d+, longest (\d+) on CPU 0\r")
PANIC = re.compile(r"\(hv\) .*\b[Pp](anic|ANIC)\b")


def focus(machine: Machine, name: str) -> None:
    """Moves the keyboard on until it is at a domain, or at "hypervisor"."""
    passed = []
    for _ in range(MOST_TARGETS):
        machine.send(SWITCH)
        target = machine.expect(INPUT_TO, ANSWER_SECONDS).removeprefix("(hv) input to ")
        if target.split()[-1] == name:
            return
        passed.append(target)
    raise AssertionError(f"Ctrl-A three times never led to {name}, only to {', '.join(passed)}")


def ask_shell(machine: Machine, name: str) -> None:
    """Has the shell in front compute something, so that the answer cannot be the echo of what was typed."""
    machine.send(f"echo $((6 * 7)) of {name}\r")
    machine.expect(f"42 of {name}", ANSWER_SECONDS)


def ask_hello(machine: Machine) -> None:
    """Has the unikernel in front greet: it answers a line with "hello, LINE"."""
    machine.send("world\r")
    machine.expect("hello, world", ANSWER_SECONDS)


def assert_well(machine: Machine) -> None:
    """The hypervisor is there and has not panicked."""
    assert machine.running, machine.tail()
    assert not PANIC.search(machine.output), machine.tail()


def exits(machine: Machine) -> list[tuple[str, int, int]]:
    """What the hypervisor, which has the keyboard and one CPU, tells of exits: reason, how often, the longest in ns."""
    machine.send("p")
    machine.expect("(hv) exits:", ANSWER_SECONDS)
    machine.expect(re.compile(r"\(hv\)   step of long work: .*\n"), ANSWER_SECONDS)
    return [(reason, int(count), int(longest)) for reason, count, longest in EXITS.findall(machine.output)]


def assert_no_long_exit(machine: Machine) -> dict[str, int]:
    """Returns how many exits there were, by reason."""
    rows = exits(machine)
    assert rows
    assert all(0 < longest <= LONGEST_EXIT for _, _, longest in rows), rows
    return {reason: count for reason, count, _ in rows}
