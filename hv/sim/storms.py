"""Storms: what several CPUs may do to one part of hv/common at the same time, at random, many times over.

Each storm is a function that every CPU of the test runs, with interrupts between them taken as they come. What must
hold afterwards the test knows (tests/sim/storms.py). A storm keeps to the rules of what it uses: who owns what.
"""

from hv.arch import cpu_id, direct_address, poll_interrupts, relax, wait_for_interrupt
from hv.common.kernel import log
from hv.common.kernel.crosscall import call_on, call_others
from hv.common.kernel.rank import Rank
from hv.common.kernel.reclaim import Reclaimable, Retired, reclaimer
from hv.common.kernel.softirq import Softirq, raise_on, run_softirqs
from hv.common.kernel.spinlock import SpinLock
from hv.common.kernel.time import Ns, Ticks
from hv.common.kernel.timer import Timer, TimerOwner
from hv.common.kernel.trace_events import Event
from hv.common.kernel.trace_ring import BufferHead, Header, TraceRecord, TraceRing
from hv.common.kernel.work import do_step
from hv.common.mm.heap import heap
from hv.common.mm.ownership import allocate_for, get_frame, put_frame
from hv.common.mm.pool import Pool
from hv.common.mm.types import PAGE_SHIFT, DomId, Mfn, paddr_of
from hv.common.model.domain import DomainConfig, Privilege, domains
from hv.config import CONFIG_NR_CPUS
from hv.lang import (
    Atomic,
    Embedded,
    Errno,
    Final,
    PerCpu,
    address_of,
    array,
    bounded,
    ptr,
    raises,
    u16,
    u32,
    u64,
    unbounded,
)
from hv.sim import machine
from hv.sim.samples import take_in_order
from hv.sim.team import meet
from hv.x86 import tlb

MANY: Final[u32] = 10_000_000
TIMERS: Final = 4  # that each CPU owns
BLOCKS: Final = 6
SLOTS: Final[u32] = 8  # where leaves are found
OWNER: Final = DomId(77)
NO_BLOCK: Final = Mfn(0)


class StormTimer(TimerOwner):
    timer: Embedded[Timer]
    told: Atomic[u32]

    def expired(self, now: Ns) -> None:
        self.told.add(1)


class Storm(PerCpu):
    state: u32  # of the random numbers
    timers: array[StormTimer, TIMERS]
    told: u32  # by calls of others
    called: u32  # how often others were to be told by it
    taken: u32  # how often it took all locks of `waits`
    shot: u32  # how often it made others forget a page
    blocks: array[Mfn, BLOCKS]
    orders: array[u32, BLOCKS]


class Waited:
    outer: SpinLock[Rank.DOMAIN]
    middle: SpinLock[Rank.HEAP]
    inner: SpinLock[Rank.TIMER]
    outside: u32
    inside: u32


class Shared:
    frame: Mfn  # of OWNER, with a reference that the test holds
    refused: Atomic[u32]


shared: Final = Shared()
waited: Final = Waited()


def _begin(seed: u32) -> None:
    Storm.this().state = seed * 0x9E37_79B1 + cpu_id() * 0x85EB_CA6B + 1
    for timer in Storm.this().timers:
        timer.timer.init(timer)
    meet()


def random(limit: u32) -> u32:
    storm = Storm.this()
    storm.state = storm.state * 1664525 + 1013904223
    return (storm.state >> 8) % limit


def locks(seed: u32, rounds: u32) -> None:
    _begin(seed)
    for _ in bounded(rounds, MANY):
        take_in_order()


def softirqs(seed: u32, rounds: u32, cpus: u32) -> None:
    _begin(seed)
    for _ in bounded(rounds, MANY):
        raise_on(random(cpus), Softirq.TIMER)
        poll_interrupts()
        run_softirqs()


def timers(seed: u32, rounds: u32, cpus: u32) -> None:
    """A CPU sets, moves and cancels its own timers, which expire on any."""
    _begin(seed)
    for _ in bounded(rounds, MANY):
        own = Storm.this().timers[random(TIMERS)]
        match random(8):
            case 0 | 1 | 2:
                own.timer.set(Ns(u64(machine.time()) + u64(random(2000))))
            case 3 | 4:
                own.timer.set_on(random(cpus), Ns(u64(machine.time()) + u64(random(2000))))
            case 5:
                own.timer.cancel()
            case 6:
                own.timer.kill()
            case _:
                own.timer.move_to(random(cpus))
        machine.advance(100)
        poll_interrupts()
        run_softirqs()
    for timer in Storm.this().timers:
        timer.timer.kill()


@unbounded("alarms ring when all CPUs wait")
def alarms(seed: u32, rounds: u32, cpus: u32) -> None:
    """A CPU sleeps until its own timer has expired, and sets one that expires on the next. In turns only: the clock has
    to move."""
    _begin(seed)
    own = Storm.this().timers[0]
    other = Storm.this().timers[1]
    for i in bounded(rounds, MANY):
        own.timer.set(Ns(u64(machine.time()) + u64(random(1_000_000))))
        other.timer.set_on((cpu_id() + 1) % cpus, Ns(u64(machine.time()) + u64(random(1_000_000))))
        while own.told.load() <= i:
            wait_for_interrupt()
            poll_interrupts()
            run_softirqs()
        other.timer.cancel()
    for timer in Storm.this().timers:
        timer.timer.kill()


def note(argument: u64) -> None:
    Storm.this().told += u32(argument)


def calls(seed: u32, rounds: u32, cpus: u32) -> None:
    """Every call adds one to what its target was told."""
    _begin(seed)
    for _ in bounded(rounds, MANY):
        if random(4) == 0:
            call_others(note, 1)
        else:
            call_on(random(cpus), note, 1)
        poll_interrupts()


def waits(seed: u32, rounds: u32, cpus: u32) -> None:
    """CPUs wait for each other in every way that there is: for locks, for others to forget a page while they hold some,
    and for calls, whose functions wait for locks and for others to forget.
    """
    _begin(seed)
    storm = Storm.this()
    for _ in bounded(rounds, MANY):
        match random(6):
            case 0 | 1:
                _take_some_locks()
            case 2:
                storm.called += 1
                call_on(random(cpus), wait_in_a_call, 1)
            case 3:
                storm.called += cpus - 1
                call_others(wait_in_a_call, 1)
            case 4:
                _shoot_down()
            case _:
                poll_interrupts()


def wait_in_a_call(argument: u64) -> None:
    Storm.this().told += u32(argument)
    if random(2) == 0:
        _take_some_locks()
    else:
        _shoot_down()


def _take_some_locks() -> None:
    """Each is taken or left out, and in the midst of each the others may be made to forget a page."""
    first = random(4)
    with waited.outer:
        waited.outside += 1
        if first == 0:
            _shoot_down()
        with waited.middle:
            if first <= 1:
                _shoot_down()
    with waited.middle, waited.inner:
        waited.inside += 1
        if first >= 2:
            _shoot_down()
    Storm.this().taken += 1


def _shoot_down() -> None:
    Storm.this().shot += 1
    tlb.flush_hypervisor(u64(random(64)) << PAGE_SHIFT, u64(random(40)), 0)


def lines(seed: u32, rounds: u32) -> None:
    _begin(seed)
    for i in bounded(rounds, MANY):
        log.info(f"CPU {cpu_id()} says {i} {i * i} and no more")


def blocks(seed: u32, rounds: u32) -> None:
    """Each CPU writes to the blocks that it has, and finds there what it wrote."""
    _begin(seed)
    storm = Storm.this()
    for _ in bounded(rounds, MANY):
        which = random(BLOCKS)
        if storm.blocks[which] == NO_BLOCK:
            _take_block(which)
        else:
            _free_block(which)
    for which in range(BLOCKS):
        if storm.blocks[which] != NO_BLOCK:
            _free_block(which)


def _take_block(which: u32) -> None:
    storm = Storm.this()
    order = random(5)
    try:
        storm.blocks[which] = heap.allocate(order)
        storm.orders[which] = order
        ptr[u64](direct_address(paddr_of(storm.blocks[which])))[0] = u64(cpu_id() + 1)
    except Errno:
        shared.refused.add(1)


def _free_block(which: u32) -> None:
    storm = Storm.this()
    words = ptr[u64](direct_address(paddr_of(storm.blocks[which])))
    assert words[0] == u64(cpu_id() + 1), "two CPUs have one block"
    heap.free(storm.blocks[which], storm.orders[which])
    storm.blocks[which] = NO_BLOCK


def references(seed: u32, rounds: u32) -> None:
    """To one frame that all share, and to frames that one CPU has alone."""
    _begin(seed)
    for _ in bounded(rounds, MANY):
        try:
            get_frame(shared.frame, OWNER)
            own = allocate_for(OWNER, 0)
            get_frame(own, OWNER)
            put_frame(own)
            put_frame(shared.frame)
            put_frame(own)
        except Errno:
            shared.refused.add(1)


def lives(seed: u32, rounds: u32, cpus: u32) -> None:
    """Domains come and go, one of each CPU, while the others find them."""
    _begin(seed)
    for _ in bounded(rounds, MANY):
        try:
            config = DomainConfig(
                name="storm",
                frames=0,
                vcpus=1,
                uart=False,
                spis=0,
                map_tables=0,
                set_aside=None,
                colors=None,
                privileges=Privilege(0),
            )
            own = domains.create(DomId(u16(cpu_id()) + 1), config)
            for _ in bounded(cpus, CONFIG_NR_CPUS):
                found = domains.get(DomId(u16(random(cpus)) + 1))
                if found is not None:
                    found.put()
            domains.remove(own)
        except Errno:
            shared.refused.add(1)
        end_way()


# A trace buffer: one CPU writes, another reads as a tool does. The words of a record are its number.

BUFFER_WORDS: Final = 256


class TraceBuffer:
    words: array[u32, BUFFER_WORDS]
    ring: TraceRing
    done: Atomic[u32]
    seen: u32
    lost: u32


trace_buffer: Final = TraceBuffer()


def end_way() -> None:
    """What a CPU does between two ways through the hypervisor, when it has no guest to run."""
    poll_interrupts()
    run_softirqs()
    do_step()
    machine.advance(1000)


class Leaf(Reclaimable):
    """Found without a lock. `low` and `high` belong together as long as it is somebody's."""

    low: u64
    high: u64
    retired: Embedded[Retired]

    def reclaim(self) -> None:
        leaves.free(self)


class Twigs:
    slots: array[Atomic[Leaf | None], SLOTS]


leaves: Final = Pool[Leaf]()
twigs: Final = Twigs()


def leaf_changes(seed: u32, rounds: u32, at_once: bool) -> None:
    """CPUs read leaves that others replace. `at_once`: the mistake of freeing what others may still read."""
    _begin(seed)
    for i in bounded(rounds, MANY):
        for _ in range(4):
            _read_leaf(random(SLOTS))
        try:
            leaf = make_leaf(u64(cpu_id()) << 32 | u64(i))
            old = twigs.slots[random(SLOTS)].exchange(leaf)
            if old is not None:
                if at_once:
                    old.reclaim()
                else:
                    reclaimer.retire(old.retired, old)
        except Errno:
            shared.refused.add(1)
        end_way()


@raises
def make_leaf(number: u64) -> Leaf:
    leaf = leaves.allocate()
    leaf.low = number
    leaf.high = ~number
    return leaf


def retire_leaf(address: u64) -> None:
    leaf = ptr[Leaf](address).ref()
    reclaimer.retire(leaf.retired, leaf)


def leaf_is_whole(address: u64) -> bool:
    leaf = ptr[Leaf](address).ref()
    return leaf.high == ~leaf.low


def _read_leaf(slot: u32) -> None:
    leaf = twigs.slots[slot].load_acquire()
    if leaf is None:
        return
    for _ in range(3):
        assert leaf.high == ~leaf.low, "a leaf is read that is nobody's any more"
        relax()


def trace_writes(seed: u32, rounds: u32) -> None:
    buffer = trace_buffer
    buffer.ring.attach(address_of(buffer.words), BUFFER_WORDS * 4)
    _begin(seed)
    record = TraceRecord()
    record.event = Event.SCHED_WAKE
    for i in bounded(rounds, MANY):
        record.at = Ticks(u64(i))
        record.count = random(8)
        for word in bounded(record.count, 8):
            record.extra[word] = i
        buffer.ring.put(record, 0)
        poll_interrupts()
    buffer.done.store(1)


@unbounded("the writer ends")
def trace_reads(seed: u32) -> None:
    _begin(seed)
    buffer = trace_buffer
    over = False
    while not over:
        over = buffer.done.load() != 0
        _consume(buffer)
        poll_interrupts()
        relax()


@unbounded("ends with what is in the buffer")
def _consume(buffer: TraceBuffer) -> None:
    head = ptr[BufferHead](address_of(buffer.words)).ref()
    size: u32 = BUFFER_WORDS * 4 - 8
    end = head.prod.load_acquire()
    at = head.cons.load_relaxed()
    while at != end:
        header = Header(buffer.words[2 + at % size // 4])
        words = header.extra + (3 if header.timed else 1)
        assert at % size + words * 4 <= size, "a record lies on both sides of the end"
        if header.event == u32(Event.SCHED_WAKE):
            number = buffer.words[3 + at % size // 4]
            assert number == buffer.seen + buffer.lost, "a record is missing"
            for word in bounded(header.extra, 8):
                assert buffer.words[5 + at % size // 4 + word] == number, "a record is torn"
            buffer.seen += 1
        elif header.event == u32(Event.LOST_RECORDS):
            buffer.lost += buffer.words[5 + at % size // 4]
        at += words * 4
        at = at if at < 2 * size else at - 2 * size
        head.cons.store_release(at)
