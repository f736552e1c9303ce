"""Long work: what takes too long for one way through the hypervisor is a `Task` that is done in steps.

A CPU does its tasks' steps back to back while it is idle, with interrupts taken in between. While it has guests to
run, softirq WORK does one step in each `INTERVAL`, so that work goes on and the guests hardly notice it. A task
belongs to the CPU that started it; each CPU has its own queue, which no other touches, so there is no lock.
"""

from hv.arch import now, ticks
from hv.common.kernel.softirq import Softirq, handlers, raise_softirq
from hv.common.kernel.time import MILLISECOND, Ns
from hv.common.kernel.timer import Timer, TimerOwner
from hv.common.lib.ordered import Link, OrderedQueue
from hv.config import CONFIG_EXIT_STATS
from hv.lang import Embedded, Final, PerCpu, Protocol, U8Enum

if CONFIG_EXIT_STATS:
    from hv.common.kernel.exit_stats import count_step

INTERVAL: Final = 1 * MILLISECOND


class Progress(U8Enum):
    MORE = 0  # another step, at once if the CPU has nothing better to do
    WAITING = 1  # for something on another CPU: later
    DONE = 2


class Task(Protocol):
    def step(self) -> Progress:
        """Does some of the work, in at most 100,000 instructions, with no lock held. A task that is DONE is not
        touched again, and may be gone.
        """
        ...


class Work:
    """A task's place among its CPU's work. `init` comes first."""

    place: Link["Work"]
    task: Task

    def init(self, task: Task) -> None:
        self.place.init(self)
        self.task = task

    def start(self) -> None:
        """The task is done from now on, by this CPU."""
        WorkQueue.this().queue.append(self.place)
        raise_softirq(Softirq.WORK)


class WorkQueue(PerCpu):
    queue: OrderedQueue[Work]
    timer: Embedded[Timer]


class NextStep(TimerOwner):
    def expired(self, now: Ns) -> None:
        raise_softirq(Softirq.WORK)


next_step: Final = NextStep()


def do_step() -> bool:
    """One step of the first task, which then waits behind the others. True: there is more that can be done at once."""
    queue = WorkQueue.this()
    work = queue.queue.pop()
    if work is None:
        return False
    if CONFIG_EXIT_STATS:
        since = ticks()
        progress = work.task.step()
        count_step(since)
    else:
        progress = work.task.step()
    if progress != Progress.DONE:
        queue.queue.append(work.place)
    return progress != Progress.WAITING and queue.queue.length != 0


@handlers.entry(softirq=Softirq.WORK)
def work() -> None:
    do_step()
    queue = WorkQueue.this()
    if queue.queue.length != 0:
        queue.timer.init(next_step)
        queue.timer.set(Ns(now() + INTERVAL))
