"""The lives of a unikernel that breaks down and is built again (guests/x86/crash.py), as the console tells them."""

import re
from dataclasses import dataclass

from devtools.machine import Machine

LIFE_SECONDS = 60
ENDS = ": the guest ends"
TOLD = r"\(d\d+ {0}\) breaks (\w+), (\w+) after (\d+) exceptions|\(hv\) d\d+ {0} (vcpu\d+: .*: the guest ends)"


@dataclass(frozen=True)
class Life:
    """One of a unikernel that breaks down: what it breaks, and the hypervisor's line about its end."""

    way: str
    trigger: str
    exceptions: int
    end: str

    @property
    def right(self) -> bool:
        """A triple fault, except where tables or stacks are put where no memory is."""
        if self.way.endswith("_NOWHERE") or self.way == "MAP_IN_REGISTERS":
            wanted = "access to an address where nothing is"
        elif self.way.endswith("_IN_REGISTERS"):
            wanted = "an exception or interrupt whose tables or stack are registers"
        else:
            wanted = "triple fault"
        return self.exceptions > 100 and wanted in self.end


def lives_of(machine: Machine, name: str) -> list[Life]:
    """Those that have ended, each of which has told before what it breaks, and has one line of the hypervisor's."""
    lives = []
    begun = None
    for found in re.finditer(TOLD.format(name), machine.output):
        way, trigger, exceptions, end = found.groups()
        assert (begun is None) == (end is None), f"{name}: {found[0]}, in the wrong order\n{machine.tail()}"
        if end is None:
            begun = way, trigger, int(exceptions)
        else:
            lives.append(Life(*begun, end))
            begun = None
    return lives


def await_lives(machine: Machine, names: tuple[str, ...], count: int) -> list[Life]:
    """Waits until so many have ended, of all together, and each has ended rightly."""
    for _ in range(count + 1):
        lives = [life for name in names for life in lives_of(machine, name)]
        wrong = [life for life in lives if not life.right]
        assert not wrong, wrong
        if len(lives) >= count:
            return lives
        machine.expect(ENDS, LIFE_SECONDS)
    raise AssertionError(f"{len(lives)} of {count} lives have ended:\n{machine.tail()}")
