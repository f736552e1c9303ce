"""Fair shares: each CPU runs, of those that can run, the vCPU that has had least of its time, in turns of 10 ms.

A vCPU that wakes goes to an idle CPU that it may run on, to the one that it was on last for preference, else it waits
at that one. It runs as soon as it has had less than the current one: mostly at once, for as long as that is so and a
little longer. Whose turn it cut short goes on with what was left of it, so that frequent wake-ups do not make others
take turns more often. Nobody saves up: to have slept counts as 1 ms at most, and when a CPU idles, all are even there.

A CPU that has nothing to run takes what waits elsewhere; a CPU on which something waits when a turn ends tells an
idle one. While nothing waits, the current vCPU's turn has no end.
"""

from hv.arch import NEVER, cpu_id, now
from hv.common.kernel.rank import Rank
from hv.common.kernel.softirq import Softirq, raise_on
from hv.common.kernel.spinlock import Held
from hv.common.kernel.time import MICROSECOND, MILLISECOND, Ns
from hv.common.lib.ordered import Link, OrderedQueue
from hv.common.model.vcpu import Vcpu
from hv.common.sched.processor import Processor, runs_vcpus
from hv.common.sched.scheduler import Decision, Scheduler, schedulers
from hv.config import CONFIG_NR_CPUS
from hv.lang import Atomic, Extension, Final, PerCpu, i64, u32, u64

SLICE: Final = 10 * MILLISECOND
LAG: Final = MILLISECOND  # what one that slept may have had less than all others
MORE: Final = 100 * MICROSECOND  # what one that woke may run beyond what it has had less
GRACE: Final = 500 * MICROSECOND  # for the waker's domain to release the locks that the woken would spin for


class Share(Extension[Vcpu]):
    """A vCPU's share of the CPU that it belongs to. That CPU's `Processor.lock` protects it."""

    place: Link[Vcpu]
    used: u64  # ns that it has had, as this CPU counts
    turn_began_at: u64  # what it had had when its turn began: its place among those that take turns
    left: u64  # ns of its turn
    charged: Ns  # until when its time is in `used`, while it runs
    woke: bool  # it waits among those that woke
    not_before: Ns  # when it woke, or somewhat later
    yielded: bool

    def init(self, owner: Vcpu) -> None:
        self.place.init(owner)

    def begin_turn(self) -> None:
        self.turn_began_at = self.used
        self.left = SLICE

    def charge(self, now: Ns) -> None:
        if now > self.charged:
            spent = now - self.charged
            self.used += spent
            self.left -= min(self.left, spent)
            self.charged = now

    def less_than(self, other: "Share") -> u64:
        """ns that it has had less than the other; 0: it has had as much, or more."""
        return other.used - min(other.used, self.used)


class RunQueue(PerCpu):
    """What waits for this CPU. `Processor.lock` protects it."""

    turns: OrderedQueue[Vcpu]  # those that take turns
    woken: OrderedQueue[Vcpu]  # those that woke and have not run since, who has had least first
    waiting: Atomic[u32]  # how many there are, for who looks without the lock and may see it a little late
    floor: Atomic[u64]  # ns: nobody who comes counts as having had less. It only grows

    @property
    def length(self) -> u32:
        return self.turns.length + self.woken.length

    def welcome(self, vcpu: Vcpu, not_before: Ns) -> None:
        """Queues one that has slept, or comes from another CPU."""
        share = Share.of(vcpu)
        floor = self.floor.load_relaxed()
        share.used = min(max(share.used, floor), floor + 2 * SLICE)
        share.begin_turn()
        share.woke = True
        share.not_before = not_before
        self.woken.insert(share.place, i64(share.used))
        self._tell()

    def queue(self, vcpu: Vcpu) -> None:
        """Queues one that goes on wanting to run: for the rest of its turn ahead of those that have had as much when it
        began, else for a new one.
        """
        share = Share.of(vcpu)
        ahead: i64 = 1
        if share.left == 0:
            share.begin_turn()
            ahead = 0
        self.turns.insert(share.place, i64(share.turn_began_at) - ahead)
        self._tell()

    def remove(self, vcpu: Vcpu) -> None:
        share = Share.of(vcpu)
        if share.woke:
            self.woken.remove(share.place)
        else:
            self.turns.remove(share.place)
        share.woke = False
        self._tell()

    def pop(self) -> Vcpu | None:
        """Takes the next off, with what is its turn."""
        woken = self.woken.head()
        next = self.turns.head()
        if woken is None:
            if next is not None:
                self.remove(next)
            return next
        if next is not None:
            share = Share.of(woken)
            if share.used > Share.of(next).used:
                self.remove(next)
                return next
            share.left = min(share.less_than(Share.of(next)) + MORE, SLICE)
        self.remove(woken)
        return woken

    def hold_back(self, until: Ns) -> None:
        """Who woke and was not chosen does not cut that turn short at once, also when it has had as little."""
        woken = self.woken.head()
        if woken is not None:
            share = Share.of(woken)
            share.not_before = max(share.not_before, until)

    def end_of(self, current: Vcpu, now: Ns) -> Ns:
        """When the current vCPU is to make room, from what waits: its turn is over then, or the first that woke has
        less.
        """
        share = Share.of(current)
        end = Ns(now + share.left)
        woken = self.woken.head()
        if woken is None:
            return NEVER if self.turns.length == 0 else end
        wakes = Share.of(woken)
        return min(end, max(Ns(now + share.less_than(wakes)), wakes.not_before))

    def give_way(self, current: Share) -> None:
        """It has had as much as all that wait, and its turn is over."""
        last = self.turns.last
        if last is not None:
            current.used = max(current.used, Share.of(last.owner).used)
        woken = self.woken.last
        if woken is not None:
            current.used = max(current.used, Share.of(woken.owner).used)
        current.left = 0

    def charge(self, current: Vcpu, now: Ns) -> None:
        """Time passes for the CPU's current vCPU, and so for the floor, which is below who has had least."""
        share = Share.of(current)
        share.charge(now)
        least = share.used
        next = self.turns.head()
        if next is not None:
            least = min(least, Share.of(next).used)
        woken = self.woken.head()
        if woken is not None:
            least = min(least, Share.of(woken).used)
        self.raise_floor(least - min(least, LAG))

    def raise_floor(self, least: u64) -> None:
        if least > self.floor.load_relaxed():
            self.floor.store_relaxed(least)

    def _tell(self) -> None:
        self.waiting.store_relaxed(self.length)


class FairShare(Scheduler):
    def insert_vcpu(self, vcpu: Vcpu) -> None:
        """A domain's vCPUs begin on CPUs in turn, as if they had had as much as others there."""
        cpu = _allowed_from(vcpu, (vcpu.domain.slot + vcpu.id) % CONFIG_NR_CPUS)
        vcpu.belong_to(cpu)
        Share.of(vcpu).used = RunQueue.on(cpu).floor.load_relaxed() + LAG

    def remove_vcpu(self, vcpu: Vcpu) -> None:
        assert not Share.of(vcpu).place.queued, "a vCPU that waits for a CPU is removed"

    def wake(self, held: Held[Rank.SCHEDULER], vcpu: Vcpu) -> None:
        cpu = vcpu.processor
        processor = Processor.on(cpu)
        waiting = RunQueue.on(cpu)
        current = processor.current
        if current is None:
            waiting.welcome(vcpu, Ns(0))
            if processor.claim() or waiting.length == 1:
                raise_on(cpu, Softirq.SCHEDULE)
            return
        at = now()
        waiting.charge(current, at)
        if waiting.length == 0:
            Share.of(current).begin_turn()
        before = waiting.end_of(current, at)
        waiting.welcome(vcpu, Ns(at + GRACE) if current.domain is vcpu.domain else at)
        if waiting.end_of(current, at) < before:
            raise_on(cpu, Softirq.SCHEDULE)

    def is_queued(self, held: Held[Rank.SCHEDULER], vcpu: Vcpu) -> bool:
        return Share.of(vcpu).place.queued

    def sleep(self, held: Held[Rank.SCHEDULER], vcpu: Vcpu) -> None:
        if Share.of(vcpu).place.queued:
            RunQueue.on(vcpu.processor).remove(vcpu)

    def yield_(self, held: Held[Rank.SCHEDULER], vcpu: Vcpu) -> None:
        Share.of(vcpu).yielded = True

    def do_schedule(self, held: Held[Rank.SCHEDULER], current: Vcpu | None, now: Ns) -> Decision:
        waiting = RunQueue.this()
        if current is not None:
            waiting.charge(current, now)
            turn = Share.of(current)
            yielded = turn.yielded
            turn.yielded = False
            if current.runnable:
                if yielded:
                    waiting.give_way(turn)
                end = waiting.end_of(current, now)
                if end > now:
                    return Decision(current, end)
                waiting.queue(current)
                _offer(waiting)
        chosen = waiting.pop()
        if chosen is None:
            if current is not None:
                waiting.raise_floor(Share.of(current).used)
            return Decision(None, NEVER)
        Share.of(chosen).charged = now
        waiting.hold_back(Ns(now + MORE))
        return Decision(chosen, waiting.end_of(chosen, now))

    def pick_cpu(self, vcpu: Vcpu) -> u32:
        last = vcpu.processor
        if vcpu.hard_affinity.test(last) and Processor.on(last).is_idle:
            return last
        idle = _idle_for(vcpu, last)
        if idle < CONFIG_NR_CPUS:
            return idle
        return _allowed_from(vcpu, last)

    def migrate(self, held: Held[Rank.SCHEDULER], vcpu: Vcpu, cpu: u32) -> None:
        _move(vcpu, cpu)

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
        queues = RunQueue.on(cpu)
        if place < queues.woken.length:
            return _at(queues.woken, place)
        return _at(queues.turns, place - queues.woken.length)


fair_share: Final = FairShare()


@schedulers.entry(name="fair")
def get_fair_share() -> Scheduler:
    return fair_share


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


def _at(queue: OrderedQueue[Vcpu], place: u32) -> Vcpu | None:
    before = place
    for vcpu in queue:
        if before == 0:
            return vcpu
        before -= 1
    return None


def _offer(waiting: RunQueue) -> None:
    """Tells an idle CPU that it may take one of those that wait here."""
    if not _offer_one_of(waiting.woken):
        _offer_one_of(waiting.turns)


def _offer_one_of(queue: OrderedQueue[Vcpu]) -> bool:
    for vcpu in queue:
        cpu = _idle_for(vcpu, vcpu.processor)
        if cpu < CONFIG_NR_CPUS:
            raise_on(cpu, Softirq.SCHEDULE)
            return True
    return False


def _move(vcpu: Vcpu, cpu: u32) -> None:
    """Of one that is on no queue, under the lock of the CPU that it leaves. What it has had more or less than others is
    so where it comes to.
    """
    share = Share.of(vcpu)
    here = RunQueue.on(vcpu.processor).floor.load_relaxed()
    share.used = RunQueue.on(cpu).floor.load_relaxed() + (share.used - min(share.used, here))
    vcpu.belong_to(cpu)


def _take(cpu: u32, here: u32) -> Vcpu | None:
    """Takes the first off another CPU's queue that may run here."""
    with Processor.on(cpu).lock:
        waiting = RunQueue.on(cpu)
        taken = _first_for(waiting.woken, here)
        if taken is None:
            taken = _first_for(waiting.turns, here)
        if taken is not None:
            waiting.remove(taken)
            _move(taken, here)
        return taken


def _first_for(queue: OrderedQueue[Vcpu], cpu: u32) -> Vcpu | None:
    for vcpu in queue:
        if vcpu.hard_affinity.test(cpu):
            return vcpu
    return None


def _queue_here(vcpu: Vcpu) -> None:
    """Queues a vCPU that has just come to this CPU, unless it went to sleep, or was queued by who woke it again, on
    the way.
    """
    with Processor.this().lock:
        place = Share.of(vcpu).place
        if vcpu.processor == cpu_id() and vcpu.runnable and not vcpu.running and not place.queued:
            RunQueue.this().welcome(vcpu, Ns(0))
