"""Ranked ticket spinlocks, whose guard is the proof that they are held.

`with lock as held:` takes the lock and yields `Held[R]`; a function that needs the lock asks for that value, so it
cannot be called without it. Tickets are served in order, so a waiting CPU is overtaken by none.

Debug builds panic when a lock is taken out of the order of `Rank`, or is held where none may be (`assert_none_held`).
"""

from hv.arch import relax
from hv.common.kernel.rank import Rank
from hv.config import CONFIG_DEBUG, CONFIG_LOCK_PROFILE
from hv.lang import Atomic, Const, Final, Generic, PerCpu, TypeVar, embedded, guard, u8, u32, u64, unbounded, value

if CONFIG_LOCK_PROFILE:
    from hv.arch import ticks
    from hv.common.kernel.lock_profile import count_released, count_taken, count_wait

R = TypeVar("R", bound=Rank)

TRIES: Final = 10_000  # of `attempt`


class HeldRanks(PerCpu):
    """The ranks of the locks that this CPU holds, a bit for each."""

    bits: u64

    def push(self, rank: Rank) -> None:
        assert self.bits >> u8(rank) == 0, "lock taken out of rank order"
        self.bits |= u64(1) << u8(rank)

    def pop(self, rank: Rank) -> None:
        """It is the highest: locks are released in the inverse order."""
        bit = u64(1) << u8(rank)
        self.bits ^= bit
        assert self.bits < bit, "lock released that is not held, or out of order"


@value
class Held(Generic[R]):
    """Proof that the lock of rank R is held by this CPU."""

    rank: Const[R]


@embedded
class SpinLock(Generic[R]):
    rank: Const[R]
    next_ticket: Atomic[u32]
    now_serving: Atomic[u32]

    @unbounded("each holder ahead in the queue releases: it runs with interrupts masked and cannot wait for this CPU")
    def __enter__(self) -> Held[R]:
        if CONFIG_DEBUG:
            HeldRanks.this().push(self.rank)
        ticket = self.next_ticket.add(1)
        if CONFIG_LOCK_PROFILE and self.now_serving.load_acquire() != ticket:
            since = ticks()
            while self.now_serving.load_acquire() != ticket:
                relax()
            count_wait(self.rank, since)
        else:
            while self.now_serving.load_acquire() != ticket:
                relax()
        if CONFIG_LOCK_PROFILE:
            count_taken(self.rank)
        return Held[R]()

    def attempt(self) -> "Attempt[R]":
        """Takes the lock unless it is held for long, as by a CPU that is stuck: `with lock.attempt() as attempt:`, and
        what needs it only behind `if attempt.won:`. For what can do without: it may be overtaken.
        """
        won = self._try()
        if CONFIG_DEBUG and won:
            HeldRanks.this().push(self.rank)
        if CONFIG_LOCK_PROFILE and won:
            count_taken(self.rank)
        return Attempt[R](self, won)

    def _try(self) -> bool:
        for _ in range(TRIES):
            ticket = self.now_serving.load_relaxed()
            if self.next_ticket.load_relaxed() == ticket and self.next_ticket.compare_exchange(ticket, ticket + 1):
                return True
            relax()
        return False

    def __exit__(self, *_: object) -> None:
        if CONFIG_LOCK_PROFILE:
            count_released(self.rank)
        self.now_serving.store_release(self.now_serving.load_relaxed() + 1)
        if CONFIG_DEBUG:
            HeldRanks.this().pop(self.rank)


@guard
class Attempt(Generic[R]):
    """What `SpinLock.attempt` came to."""

    lock: SpinLock[R] | None
    won: bool

    def __enter__(self) -> "Attempt[R]":
        return self

    @property
    def held(self) -> Held[R]:
        """The proof of an attempt that was won."""
        assert self.won, "a lock that was not taken is used"
        return Held[R]()

    def __exit__(self, *_: object) -> None:
        lock = self.lock
        if self.won and lock is not None:
            lock.__exit__()


def assert_none_held() -> None:
    """For where a CPU leaves the hypervisor or goes to sleep."""
    if CONFIG_DEBUG:
        assert HeldRanks.this().bits == 0, "a lock is held across the way out of the hypervisor"
