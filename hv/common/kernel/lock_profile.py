"""How often locks are taken and waited for, by rank: key `L` shows it, `l` forgets it (lock_dump.py).

Each CPU writes its own counts alone, in the counter's ticks. A CPU holds one lock of a rank at most, so a rank's locks
need one time of acquisition. Compiled in with CONFIG_LOCK_PROFILE.
"""

from hv.arch import ticks
from hv.common.kernel.rank import Rank
from hv.common.kernel.time import Ticks
from hv.lang import Final, PerCpu, array, u8, u64

RANKS: Final = 32  # room for as many


class RankProfile:
    taken: u64
    contended: u64
    waited: u64  # ticks, of all that were contended
    held: u64  # ticks, the longest
    since: Ticks  # when the lock was taken that is held
    fresh: bool  # it was taken since the counts were forgotten


class LockProfile(PerCpu):
    ranks: array[RankProfile, RANKS]

    def forget(self) -> None:
        for rank in self.ranks:
            rank.taken = 0
            rank.contended = 0
            rank.waited = 0
            rank.held = 0
            rank.fresh = False


def count_wait(rank: Rank, since: Ticks) -> None:
    """A lock was waited for."""
    profile = LockProfile.this().ranks[u8(rank)]
    profile.contended += 1
    profile.waited += ticks() - since


def count_taken(rank: Rank) -> None:
    profile = LockProfile.this().ranks[u8(rank)]
    profile.taken += 1
    profile.fresh = True
    profile.since = ticks()


def count_released(rank: Rank) -> None:
    profile = LockProfile.this().ranks[u8(rank)]
    if profile.fresh:
        profile.held = max(profile.held, ticks() - profile.since)
