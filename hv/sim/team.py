"""CPUs that work together, and serve each other until the last has done its work."""

from hv.arch import poll_interrupts, relax
from hv.lang import Atomic, Final, u32, unbounded


class Team:
    working: Atomic[u32]


team: Final = Team()


@unbounded("each CPU of the team ends its work")
def finish() -> None:
    """This CPU has done its own work: it takes interrupts until all have."""
    team.working.sub(1)
    while team.working.load_acquire() != 0:
        poll_interrupts()
        relax()
