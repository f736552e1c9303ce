"""Events in queues by priority, as the guest chooses with EVTCHNOP_init_control (public/event_channel.h; the FIFO-based
event channel ABI, draft H, of its authors).

Each port has a word in the event array, whose pages the guest gives one by one: pending, masked, linked, and the next
port in its queue. Each vCPU has a control block with the heads of its sixteen queues, of which the guest takes events
off; the tails are the hypervisor's. Who sets `linked` in a word alone puts it into a queue. If the port was put into
another queue last, and is that one's tail, that queue is empty, and must not go on behind it.

`Queues.lock` protects a vCPU's tails, and orders what is put into its queues. Pages are held until no CPU can be using
them (hv/common/kernel/reclaim.py). The guest may write anything into them: a word is changed only in ways in which
wrong contents harm the guest alone.
"""

from hv.arch import direct_address
from hv.common.comm.channel import Channel, Port
from hv.common.comm.event_form import EventForm
from hv.common.comm.polling import arrived
from hv.common.comm.upcall import delivery
from hv.common.comm.vcpu_info import VcpuInfo
from hv.common.kernel.rank import Rank
from hv.common.kernel.reclaim import Reclaimable, Retired, reclaimer
from hv.common.kernel.spinlock import Held, SpinLock
from hv.common.mm.ownership import put_frame
from hv.common.mm.pool import Pool
from hv.common.mm.types import Mfn, paddr_of
from hv.common.model.domain import Domain
from hv.common.model.vcpu import MAX_VCPUS, Vcpu, Vcpus
from hv.lang import Atomic, Embedded, Extension, Final, array, bounded, ptr, u32, u64

PENDING: Final[u32] = 1 << 31
MASKED: Final[u32] = 1 << 30
LINKED: Final[u32] = 1 << 29
BUSY: Final[u32] = 1 << 28  # the guest does not unmask it meanwhile
LINK: Final[u32] = (1 << 17) - 1
PRIORITIES: Final = 16
WORDS_PER_PAGE: Final[u32] = 1024
MOST_PAGES: Final = 128
TRIES: Final = 4  # the guest may change a linked word in so many ways while it is busy


class EventWord:
    bits: Atomic[u32]


class ControlBlock:
    """struct evtchn_fifo_control_block."""

    ready: Atomic[u32]
    reserved: u32
    heads: array[Atomic[u32], PRIORITIES]


class Queues:
    """A vCPU's."""

    lock: SpinLock[Rank.EVENT_QUEUE]
    control: Atomic[u64]  # where its control block is mapped; 0: nowhere yet
    mfn: Mfn
    tails: array[u32, PRIORITIES]  # 0: none


class FifoState(Reclaimable):
    """A domain's."""

    queues: array[Queues, MAX_VCPUS]
    pages: array[Mfn, MOST_PAGES]  # of the event array
    page_count: Atomic[u32]
    retired: Embedded[Retired]

    def word_at(self, port: u32) -> EventWord | None:
        """None: the guest has not given the page yet."""
        page = port // WORDS_PER_PAGE
        if page >= self.page_count.load_acquire():
            return None
        at = direct_address(paddr_of(self.pages[page])) + u64(port % WORDS_PER_PAGE) * 4
        return ptr[EventWord](at).ref()

    def reclaim(self) -> None:
        for i in bounded(self.page_count.load(), MOST_PAGES):
            put_frame(self.pages[i])
        for queues in self.queues:
            if queues.control.load() != 0:
                put_frame(queues.mfn)
        pool.free(self)


class FifoEvents(Extension[Domain]):
    state: Atomic[FifoState | None]

    def teardown(self, owner: Domain) -> None:
        """All its ports are closed; who was sending to one may still be at it."""
        state = self.state.exchange(None)
        if state is not None:
            reclaimer.retire(state.retired, state)


pool: Final = Pool[FifoState]()


class Fifo(EventForm):
    def capacity(self, domain: Domain) -> u32:
        return LINK + 1

    def set_pending(self, domain: Domain, port: Port, channel: Channel) -> None:
        state = FifoEvents.of(domain).state.load_acquire()
        if state is None:
            return
        word = state.word_at(u32(port))
        if word is None:
            # The page may come in this moment; then one of the two sees the other's mark.
            channel.missed.exchange(True)
            word = state.word_at(u32(port))
            if word is None or not channel.missed.exchange(False):
                return
        before = word.bits.or_(PENDING)
        vcpu = Vcpus.of(domain).find(channel.told)
        if vcpu is not None:
            self._queue(state, vcpu, u32(port), word, channel)
        if before & PENDING == 0:
            arrived(domain, port)

    def clear_pending(self, domain: Domain, port: Port, channel: Channel) -> None:
        """The guest passes over it in its queue."""
        channel.missed.store(False)
        state = FifoEvents.of(domain).state.load_acquire()
        word = None if state is None else state.word_at(u32(port))
        if word is not None:
            word.bits.and_(~PENDING)

    def unmask(self, domain: Domain, port: Port, channel: Channel) -> None:
        state = FifoEvents.of(domain).state.load_acquire()
        word = None if state is None else state.word_at(u32(port))
        if state is None or word is None:
            return
        before = word.bits.and_(~MASKED)
        vcpu = Vcpus.of(domain).find(channel.told)
        if before & PENDING != 0 and vcpu is not None:
            self._queue(state, vcpu, u32(port), word, channel)

    def is_pending(self, domain: Domain, port: Port) -> bool:
        state = FifoEvents.of(domain).state.load_acquire()
        word = None if state is None else state.word_at(u32(port))
        return word is not None and word.bits.load() & PENDING != 0

    def _queue(self, state: FifoState, vcpu: Vcpu, port: u32, word: EventWord, channel: Channel) -> None:
        """Puts a word that is pending into its queue, unless it is masked or in one already, and tells the vCPU of a
        queue that was empty. A vCPU without a control block has no queues: it misses the event.
        """
        queues = state.queues[vcpu.id]
        at = queues.control.load_acquire()
        if at == 0 or word.bits.load() & MASKED != 0 or word.bits.or_(LINKED) & LINKED != 0:
            return
        priority = u32(channel.priority.load_relaxed())
        place = vcpu.id * PRIORITIES + priority
        last = channel.queued_on.exchange(place)
        if last != place:
            left = state.queues[last // PRIORITIES]
            with left.lock:
                if left.tails[last % PRIORITIES] == port:
                    left.tails[last % PRIORITIES] = 0
        control = ptr[ControlBlock](at).ref()
        with queues.lock as held:
            if link_behind(held, state, queues.tails[priority], port):
                queues.tails[priority] = port
                return
            control.heads[priority].store(port)
            queues.tails[priority] = port
        bit = u32(1) << priority
        if control.ready.or_(bit) & bit == 0 and VcpuInfo.of(vcpu).mark():
            delivery.upcalls.notify(vcpu)


fifo: Final = Fifo()


def link_behind(held: Held[Rank.EVENT_QUEUE], state: FifoState, tail: u32, port: u32) -> bool:
    """Lets the tail's word lead to the port. False: the guest has taken the tail off, or it is the port itself: the
    queue is empty.
    """
    word = None if tail == 0 or tail == port else state.word_at(tail)
    if word is None:
        return False
    before = word.bits.load()
    if before & LINKED == 0:
        return False
    if word.bits.compare_exchange(before, before & ~(BUSY | LINK) | port):
        return True
    word.bits.or_(BUSY)
    for _ in range(TRIES):
        before = word.bits.load()
        if before & LINKED == 0:
            word.bits.and_(~BUSY)
            return False
        if word.bits.compare_exchange(before, before & ~(BUSY | LINK) | port):
            return True
    word.bits.and_(~BUSY)
    return True  # a guest that changes it for ever loses the event
