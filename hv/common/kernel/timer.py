"""Timers: an owner is told, on one CPU, that a point in time has come.

Each CPU has a queue of timers by deadline and one hardware alarm, which is set anew only when the earliest deadline
changes. Expired timers are taken off and their owners told by softirq TIMER, without a lock. A timer that has expired
is not set any more; its owner may set it again at once.

`Timers.lock` protects a CPU's queue and what timers on it hold. Setting and cancelling one timer is serialised by its
owner; other CPUs' timers are set and cancelled as well as this one's. `expired` may still run, or be about to, when
`cancel` returns on another CPU: an owner whose state decides what to do then needs no more, and one that is about to go
away calls `kill`.
"""

from hv.arch import NEVER, cpu_id, now, relax, set_alarm
from hv.common.kernel.rank import Rank
from hv.common.kernel.softirq import Softirq, handlers, raise_on
from hv.common.kernel.spinlock import Held, SpinLock, assert_none_held
from hv.common.kernel.time import Ns
from hv.common.lib.ordered import Link, OrderedQueue
from hv.lang import Final, PerCpu, Protocol, i64, u32, u64, unbounded

LATEST: Final[u64] = 0x7FFF_FFFF_FFFF_FFFF  # deadlines beyond it (292 years) count as this


class TimerOwner(Protocol):
    def expired(self, now: Ns) -> None:
        """The deadline has come: `now` is not before it. Runs in softirq TIMER, with no lock held."""
        ...


class Timer:
    """Embedded in its owner. `init` comes first."""

    place: Link["Timer"]
    owner: TimerOwner
    cpu: u32

    def init(self, owner: TimerOwner) -> None:
        """It is this CPU's: what is done with it before it is set takes no lock that all CPUs want."""
        self.place.init(self)
        self.owner = owner
        self.cpu = cpu_id()

    @property
    def armed(self) -> bool:
        return self.place.queued

    @property
    def deadline(self) -> Ns:
        """When it was or is to expire; only of meaning to an owner that has set it."""
        return Ns(u64(self.place.key))

    def set(self, deadline: Ns) -> None:
        """Expires on this CPU at or soon after the deadline; an earlier setting is forgotten."""
        self.set_on(cpu_id(), deadline)

    def set_on(self, cpu: u32, deadline: Ns) -> None:
        """As `set`, on another CPU."""
        if self.cpu != cpu:
            self.cancel()
        self.cpu = cpu
        timers = Timers.on(cpu)
        with timers.lock as held:
            if self.place.queued:
                timers.queue.remove(self.place)
            timers.queue.insert(self.place, i64(min(u64(deadline), LATEST)))
            timers.update_alarm(held, cpu)

    def cancel(self) -> None:
        """Does nothing to a timer that is not set. The alarm stays: a needless interrupt costs less than setting it."""
        self._take_off()

    def move_to(self, cpu: u32) -> None:
        """Lets a timer that is set expire on another CPU; one that is not set, or has just expired, stays so."""
        if self.cpu != cpu and self._take_off():
            self.set_on(cpu, self.deadline)

    def _take_off(self) -> bool:
        """Whether it was set."""
        timers = Timers.on(self.cpu)
        with timers.lock:
            queued = self.place.queued
            if queued:
                timers.queue.remove(self.place)
            return queued

    @unbounded("an owner's `expired` returns, and cannot wait for this CPU, which holds no lock")
    def kill(self) -> None:
        """Cancels, and waits until `expired` does not run anywhere. Not to be called by `expired` itself."""
        self.cancel()
        assert_none_held()
        timers = Timers.on(self.cpu)
        while timers.is_running(self):
            relax()


class Timers(PerCpu):
    lock: SpinLock[Rank.TIMER]
    queue: OrderedQueue[Timer]
    running: Timer | None  # whose owner is being told
    alarm: Ns  # what the hardware is set to; of no meaning before `started`
    started: bool

    def is_running(self, timer: Timer) -> bool:
        with self.lock:
            return self.running is timer

    def update_alarm(self, held: Held[Rank.TIMER], cpu: u32) -> None:
        """After an insertion: when the new head is earlier than what the alarm is set to."""
        earliest = self.earliest(held)
        if self.started and earliest >= self.alarm:
            return
        if cpu == cpu_id():
            self.program(held, earliest)
        else:
            raise_on(cpu, Softirq.TIMER)

    def earliest(self, held: Held[Rank.TIMER]) -> Ns:
        head = self.queue.head()
        return NEVER if head is None else head.deadline

    def program(self, held: Held[Rank.TIMER], deadline: Ns) -> None:
        if self.started and self.alarm == deadline:
            return
        self.started = True
        self.alarm = deadline
        set_alarm(deadline)

    def next_expired(self, at: Ns) -> Timer | None:
        """Takes the first timer off whose deadline has come; when there is none, sets the alarm for the next."""
        with self.lock as held:
            self.running = None
            head = self.queue.head()
            if head is not None and head.deadline <= at:
                self.queue.remove(head.place)
                self.running = head
                return head
            self.program(held, self.earliest(held))
            return None


def alarm_rang() -> None:
    """For the handler of the hardware alarm, which is turned off until softirq TIMER sets it again."""
    timers = Timers.this()
    with timers.lock as held:
        timers.program(held, NEVER)
    raise_on(cpu_id(), Softirq.TIMER)


@handlers.entry(softirq=Softirq.TIMER)
@unbounded(
    "each step takes a timer off whose deadline has passed; one that is set again expires after the time that was read"
)
def run_timers() -> None:
    timers = Timers.this()
    at = now()
    timer = timers.next_expired(at)
    while timer is not None:
        timer.owner.expired(at)
        timer = timers.next_expired(at)
