"""CPUs that work together, and serve each other until the last has done its work."""

from hv.arch import poll_interrupts, relax
from hv.common.kernel.softirq import run_softirqs
from hv.lang import Atomic, Final, u32, unbounded


class Team:
    expected: Atomic[u32]
    arrived: Atomic[u32]
    working: Atomic[u32]


team: Final = Team()


def begin(cpus: u32) -> None:
    """So many CPUs are to `meet`, and to `finish`."""
    team.arrived.store(0)
    team.expected.store(cpus)
    team.working.store(cpus)


@unbounded("each CPU of the team arrives")
def meet() -> None:
    """Waits for the whole team: what follows happens at once, whatever the host did to the threads before."""
    team.arrived.add(1)
    while team.arrived.load_acquire() < team.expected.load_relaxed():
        relax()


@unbounded("each CPU of the team ends its work")
def finish() -> None:
    """This CPU has done its own work: it takes interrupts and runs softirqs until all have."""
    team.working.sub(1)
    while team.working.load_acquire() != 0:
        poll_interrupts()
        run_softirqs()
        relax()
