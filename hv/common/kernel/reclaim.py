"""Deferred reclamation: what others may still read without a lock is destroyed when all of them have looked away.

Who takes an object out of where it is found (an `Atomic[T | None]`) retires it. A CPU that found it before goes on with
it until its way through the hypervisor ends, and keeps nothing behind that but what it has a reference to. So once
every online CPU has ended a way that began before, nobody reads the object, and its owner is told.

A grace period asks each CPU by softirq RECLAIM, which a CPU runs between its ways. At first it is left there without an
interrupt: a CPU that comes out of its guest anyway passes at no cost. One that has not passed an `INTERVAL` later is
interrupted. What is retired meanwhile waits for the next period. Owners are told in the order in which they retired.

`Reclaimer.lock` protects `waiting` and `busy`; the rest belongs to the task that drives the periods.
"""

from hv.arch import now, send_ipi
from hv.common.kernel.cpus import online
from hv.common.kernel.rank import Rank
from hv.common.kernel.softirq import Softirq, handlers, leave_softirq
from hv.common.kernel.spinlock import SpinLock
from hv.common.kernel.time import Ns
from hv.common.kernel.work import INTERVAL, Progress, Task, Work
from hv.common.lib.ordered import Link, OrderedQueue
from hv.lang import Atomic, Embedded, Final, PerCpu, Protocol, u64

AT_ONCE: Final = 8  # objects that one step destroys


class Reclaimable(Protocol):
    def reclaim(self) -> None:
        """Nobody reads it any more. Called once, with no lock held, in at most 10,000 instructions; may retire."""
        ...


class Retired:
    """Embedded in what may be retired."""

    place: Link["Retired"]
    owner: Reclaimable


class Passed(PerCpu):
    period: Atomic[u64]  # the last that this CPU has passed


class Reclaimer(Task):
    lock: SpinLock[Rank.RECLAIM]
    busy: bool  # the task is among a CPU's work
    waiting: OrderedQueue[Retired]  # for a period that has not begun
    passing: OrderedQueue[Retired]  # for the one in progress
    passed: bool  # the period is over, and what is in `passing` may go
    urge_at: Ns
    period: Atomic[u64]  # the one in progress, or the last
    work: Embedded[Work]

    def retire(self, retired: Retired, owner: Reclaimable) -> None:
        """Tells the owner to `reclaim` what nobody can find any more, later. From any CPU, also under locks."""
        retired.place.init(retired)
        retired.owner = owner
        with self.lock:
            self.waiting.append(retired.place)
            if self.busy:
                return
            self.busy = True
            self.passed = True
            self.work.init(self)
            self.work.start()

    def step(self) -> Progress:
        if not self.passed:
            return self._wait()
        for _ in range(AT_ONCE):
            retired = self.passing.pop()
            if retired is None:
                return self._begin()
            retired.owner.reclaim()
        return Progress.MORE

    def _begin(self) -> Progress:
        """The next period, if anything waits for one."""
        with self.lock:
            if self.waiting.length == 0:
                self.busy = False
                return Progress.DONE
            self.passing.take_all(self.waiting)
        self.passed = False
        self.period.add(1)
        self.urge_at = Ns(now() + INTERVAL)
        for cpu in online:
            leave_softirq(cpu, Softirq.RECLAIM)
        return Progress.WAITING

    def _wait(self) -> Progress:
        late = now() >= self.urge_at
        self.passed = True
        for cpu in online:
            if Passed.on(cpu).period.load_acquire() != self.period.load_relaxed():
                self.passed = False
                if late:
                    leave_softirq(cpu, Softirq.RECLAIM)  # it may have come online since
                    send_ipi(cpu)
        if late:
            self.urge_at = Ns(now() + INTERVAL)
        return Progress.MORE if self.passed else Progress.WAITING


reclaimer: Final = Reclaimer()


@handlers.entry(softirq=Softirq.RECLAIM)
def pass_period() -> None:
    """Between two ways through the hypervisor: this CPU has done with what it read."""
    Passed.this().period.store_release(reclaimer.period.load_acquire())
