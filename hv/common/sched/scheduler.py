"""What a scheduler decides: which vCPU a CPU runs next, for how long, and on which CPU's queue a vCPU waits.

The hooks have the names of Xen's (xen/include/xen/sched-if.h); the core calls them and owns everything else: the
states of vCPUs, their affinity, the accounting of time, the switch itself. A hook that takes `held` runs under the
lock of the CPU that it is about: the vCPU's `processor`, or the CPU that schedules.
"""

from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held
from hv.common.kernel.time import Ns
from hv.common.model.vcpu import Vcpu
from hv.lang import Callable, Final, Protocol, Registry, u32, value


@value
class Decision:
    vcpu: Vcpu | None  # None: nothing is to be run
    until: Ns  # when to decide anew; NEVER: not before something happens


class Scheduler(Protocol):
    def insert_vcpu(self, vcpu: Vcpu) -> None:
        """A new vCPU, which is down: gives it its first `processor`."""
        ...

    def remove_vcpu(self, vcpu: Vcpu) -> None:
        """A vCPU that will not run any more."""
        ...

    def wake(self, held: Held[Rank.SCHEDULER], vcpu: Vcpu) -> None:
        """It is runnable, does not run, and is not queued: queues it on its `processor`, and sees to it that this CPU
        takes note.
        """
        ...

    def is_queued(self, held: Held[Rank.SCHEDULER], vcpu: Vcpu) -> bool: ...

    def sleep(self, held: Held[Rank.SCHEDULER], vcpu: Vcpu) -> None:
        """It is not runnable any more and does not run: takes it off its queue, if it is on one."""
        ...

    def yield_(self, held: Held[Rank.SCHEDULER], vcpu: Vcpu) -> None:
        """It runs here, and lets others go first."""
        ...

    def do_schedule(self, held: Held[Rank.SCHEDULER], current: Vcpu | None, now: Ns) -> Decision:
        """What this CPU runs from now on. `current` has run until now; when it is still runnable and not chosen, it
        is queued.
        """
        ...

    def pick_cpu(self, vcpu: Vcpu) -> u32:
        """On which CPU a vCPU is to be queued, from what it may run on now. No lock is held: the state of other CPUs
        may be another already.
        """
        ...

    def migrate(self, held: Held[Rank.SCHEDULER], vcpu: Vcpu, cpu: u32) -> None:
        """A vCPU that is on no queue belongs to another CPU from now on."""
        ...

    def balance(self) -> bool:
        """This CPU has nothing to run: queues something here that waits elsewhere. False: nothing may be taken. No
        lock is held.
        """
        ...

    def waiting(self, held: Held[Rank.SCHEDULER], cpu: u32, place: u32) -> Vcpu | None:
        """The vCPU that waits on the CPU in this place, from 0 on, for who wants to show it. None: there is none."""
        ...


@value
class SchedulerEntry:
    name: str
    get: Callable[[], Scheduler]


schedulers: Final = Registry[SchedulerEntry]()
