"""Debug keys of locks: `L` shows by rank how often they were taken and waited for, `l` forgets it (lock_profile.py).

What other CPUs count meanwhile is read as it is.
"""

from hv.arch import elapsed
from hv.common.kernel.console import console
from hv.common.kernel.cpus import online
from hv.common.kernel.keys import Output, keys
from hv.common.kernel.lock_profile import RANKS, LockProfile
from hv.common.kernel.rank import Rank
from hv.common.kernel.survey import ask_each
from hv.common.kernel.time import Ticks
from hv.common.kernel.work import Progress
from hv.lang import bounded, u8, u32, u64


@keys.entry(character="L", help="shows how often locks were taken and waited for", shows=True)
def show_locks(output: Output) -> Progress:
    if output.row == 0:
        console.print("locks by rank: taken, waited for, for how long in all and held at most, in ns")
    for rank in bounded(output.row, RANKS, RANKS):
        if show_rank(rank):
            output.row = rank + 1
            return Progress.MORE
    return Progress.DONE


def show_rank(rank: u32) -> bool:
    """False: none was taken."""
    taken: u64 = 0
    contended: u64 = 0
    waited: u64 = 0
    held: u64 = 0
    for cpu in online:
        profile = LockProfile.on(cpu).ranks[rank]
        taken += profile.taken
        contended += profile.contended
        waited += profile.waited
        held = max(held, profile.held)
    if taken == 0:
        return False
    name = Rank(u8(rank)).name
    console.print(f"  {name}: {taken}, {contended}, {elapsed(Ticks(waited))}, {elapsed(Ticks(held))}")
    return True


@keys.entry(character="l", help="forgets what L shows", shows=False)
def forget_locks(output: Output) -> Progress:
    progress = ask_each(output, forget_here)
    if progress == Progress.DONE:
        console.print("locks: all counts are zero")
    return progress


def forget_here() -> None:
    LockProfile.this().forget()
