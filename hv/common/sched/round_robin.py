"""Round robin: each CPU runs what is on its queue in turns of 10 ms.

A vCPU that wakes goes to an idle CPU that it may run on, to the one that it was on last for preference, else it waits
at the end of the queue of that one. So that it waits for no more than 1 ms for each that is before it, turns are that
short while it waits, and so is its own first one, lest who wakes often gets more than its share. A CPU that has
nothing to run takes what waits elsewhere; a CPU on which something waits when a turn ends tells an idle one. While
nothing waits, the current vCPU's turn has no end.
"""

from hv.arch import NEVER, cpu_id
from hv.common.kernel.rank import Rank
from hv.common.kernel.softirq import Softirq, raise_on
from hv.common.kernel.spinlock import Held
from hv.common.kernel.time import MILLISECOND, Ns
from hv.common.lib.ordered import Link, OrderedQueue
from hv.common.model.vcpu import Vcpu
from hv.common.sched.processor import Processor, runs_vcpus
from hv.common.sched.scheduler import Decision, Scheduler, schedulers
from hv.config import CONFIG_NR_CPUS
from hv.lang import Atomic, Extension, Final, PerCpu, u32

SLICE: Final = 10 * MILLISECOND
SHORT: Final = 1 * MILLISECOND


class RoundRobinVcpu(Extension[Vcpu]):
    place: Link[Vcpu]
    turn_began: Ns
    turn_ends: Ns
    yielded: bool
    woken: bool  # it has had no turn since it woke; constant while it is queued

    def init(self, owner: Vcpu) -> None:
        self.place.init(owner)


class RunQueue(PerCpu):
    """What waits for this CPU. `Processor.lock` protects it."""

    queue: OrderedQueue[Vcpu]
    waiting: Atomic[u32]  # the queue's length, for who looks without the lock and may see it a little late
    woken: u32  # how many of them have had no turn since they woke

    def append(self, vcpu: Vcpu) -> None:
        self.queue.append(RoundRobinVcpu.of(vcpu).place)
        self.woken += u32(RoundRobinVcpu.of(vcpu).woken)
        self.waiting.store_relaxed(self.queue.length)

    def remove(self, vcpu: Vcpu) -> None:
        self.queue.remove(RoundRobinVcpu.of(vcpu).place)
        self._left(vcpu)

    def pop(self) -> Vcpu | None:
        first = self.queue.pop()
        if first is not None:
            self._left(first)
        return first

    def end_of(self, turn: RoundRobinVcpu) -> Ns:
        """When the turn of the current vCPU ends, if others wait then."""
        return turn.turn_ends if self.woken == 0 else min(turn.turn_ends, Ns(turn.turn_began + SHORT))

    def _left(self, vcpu: Vcpu) -> None:
        self.woken -= u32(RoundRobinVcpu.of(vcpu).woken)
        self.waiting.store_relaxed(self.queue.length)


class RoundRobin(Scheduler):
    def insert_vcpu(self, vcpu: Vcpu) -> None:
        """A domain's vCPUs begin on CPUs in turn."""
        cpu = vcpu.domain.slot + vcpu.id
        vcpu.belong_to(_allowed_from(vcpu, cpu % CONFIG_NR_CPUS))

    def remove_vcpu(self, vcpu: Vcpu) -> None:
        assert not RoundRobinVcpu.of(vcpu).place.queued, "a vCPU that waits for a CPU is removed"

    def wake(self, held: Held[Rank.SCHEDULER], vcpu: Vcpu) -> None:
        cpu = vcpu.processor
        waiting = RunQueue.on(cpu)
        RoundRobinVcpu.of(vcpu).woken = True
        waiting.append(vcpu)
        if Processor.on(cpu).claim() or waiting.woken == 1:
            raise_on(cpu, Softirq.SCHEDULE)

    def is_queued(self, held: Held[Rank.SCHEDULER], vcpu: Vcpu) -> bool:
        return RoundRobinVcpu.of(vcpu).place.queued

    def sleep(self, held: Held[Rank.SCHEDULER], vcpu: Vcpu) -> None:
        if RoundRobinVcpu.of(vcpu).place.queued:
            RunQueue.on(vcpu.processor).remove(vcpu)

    def yield_(self, held: Held[Rank.SCHEDULER], vcpu: Vcpu) -> None:
        RoundRobinVcpu.of(vcpu).yielded = True

    def do_schedule(self, held: Held[Rank.SCHEDULER], current: Vcpu | None, now: Ns) -> Decision:
        waiting = RunQueue.this()
        if current is not None and current.runnable:
            turn = RoundRobinVcpu.of(current)
            ends = waiting.end_of(turn)
            over = turn.yielded or ends <= now
            turn.yielded = False
            if not over or waiting.queue.length == 0:
                return Decision(current, ends if not over and waiting.queue.length != 0 else NEVER)
            waiting.append(current)
            _offer(waiting.queue)
        chosen = waiting.pop()
        if chosen is None:
            return Decision(None, NEVER)
        turn = RoundRobinVcpu.of(chosen)
        turn.turn_began = now
        turn.turn_ends = Ns(now + SHORT) if turn.woken else Ns(now + SLICE)
        turn.woken = False
        return Decision(chosen, NEVER if waiting.queue.length == 0 else waiting.end_of(turn))

    def pick_cpu(self, vcpu: Vcpu) -> u32:
        last = vcpu.processor
        if vcpu.hard_affinity.test(last) and Processor.on(last).is_idle:
            return last
        idle = _idle_for(vcpu, last)
        if idle < CONFIG_NR_CPUS:
            return idle
        return _allowed_from(vcpu, last)

    def migrate(self, held: Held[Rank.SCHEDULER], vcpu: Vcpu, cpu: u32) -> None:
        vcpu.belong_to(cpu)

    def balance(self) -> bool:
        here = cpu_id()
        for step in range(1, CONFIG_NR_CPUS):
            cpu = (here + step) % CONFIG_NR_CPUS
            if RunQueue.on(cpu).waiting.load_relaxed() != 0:
                taken = _take(cpu, here)
                if taken is not None:
                    _queue_here(taken)
                    return True
        return False

    def waiting(self, held: Held[Rank.SCHEDULER], cpu: u32, place: u32) -> Vcpu | None:
        before = place
        for vcpu in RunQueue.on(cpu).queue:
            if before == 0:
                return vcpu
            before -= 1
        return None


round_robin: Final = RoundRobin()


@schedulers.entry(name="rr")
def get_round_robin() -> Scheduler:
    return round_robin


def _allowed_from(vcpu: Vcpu, first: u32) -> u32:
    """The CPU `first`, or the next one that the vCPU may run on. Who sets an affinity has seen that there is one."""
    found: u32 = CONFIG_NR_CPUS
    for step in range(CONFIG_NR_CPUS):
        cpu = (first + step) % CONFIG_NR_CPUS
        if vcpu.hard_affinity.test(cpu) and runs_vcpus(cpu):
            found = cpu
            break
    assert found < CONFIG_NR_CPUS, "no CPU may run this vCPU"
    return found


def _idle_for(vcpu: Vcpu, last: u32) -> u32:
    """An idle CPU behind `last` that the vCPU may run on; CONFIG_NR_CPUS when there is none."""
    for step in range(1, CONFIG_NR_CPUS):
        cpu = (last + step) % CONFIG_NR_CPUS
        if Processor.on(cpu).is_idle and vcpu.hard_affinity.test(cpu):
            return cpu
    return CONFIG_NR_CPUS


def _offer(waiting: OrderedQueue[Vcpu]) -> None:
    """Tells an idle CPU that it may take one of those that wait here."""
    for vcpu in waiting:
        cpu = _idle_for(vcpu, vcpu.processor)
        if cpu < CONFIG_NR_CPUS:
            raise_on(cpu, Softirq.SCHEDULE)
            return


def _take(cpu: u32, here: u32) -> Vcpu | None:
    """Takes the first off another CPU's queue that may run here."""
    with Processor.on(cpu).lock:
        waiting = RunQueue.on(cpu)
        for vcpu in waiting.queue:
            if vcpu.hard_affinity.test(here):
                waiting.remove(vcpu)
                vcpu.belong_to(here)
                return vcpu
    return None


def _queue_here(vcpu: Vcpu) -> None:
    """Queues a vCPU that has just come to this CPU, unless it went to sleep, or was queued by who woke it again, on
    the way.
    """
    with Processor.this().lock:
        place = RoundRobinVcpu.of(vcpu).place
        if vcpu.processor == cpu_id() and vcpu.runnable and not vcpu.running and not place.queued:
            RunQueue.this().append(vcpu)
