"""The serial line that the hypervisor and its guests share, as a person at the keyboard uses it."""

import re

from devtools.machine import Machine

SWITCH = b"\x01\x01\x01"  # Ctrl-A three times
INPUT_TO = re.compile(r"\(hv\) input to (hypervisor|d\d+ \S+)")
MOST_TARGETS = 16
ANSWER_SECONDS = 30


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
