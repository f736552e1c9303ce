"""Changing a domain's events from bits to queues, and back: pages that the guest gives for them (EVTCHNOP_init_control,
EVTCHNOP_expand_array). `binding.lock` serialises it.
"""

from hv.arch import direct_address
from hv.common.comm.channel import Channel, Port, State
from hv.common.comm.event_form import Form, form_of
from hv.common.comm.event_ports import MAX_BUCKETS, PER_BUCKET, EventChannels, binding
from hv.common.comm.fifo import MOST_PAGES, PRIORITIES, ControlBlock, FifoEvents, FifoState, fifo, pool
from hv.common.comm.two_level import two_level
from hv.common.comm.vcpu_info import hold_writable
from hv.common.kernel.rank import Rank
from hv.common.kernel.reclaim import reclaimer
from hv.common.kernel.spinlock import Held
from hv.common.mm.types import PAGE_SIZE, Gfn, paddr_of
from hv.common.model.domain import Domain
from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, Final, bounded, raises, size_of, u8, u32, u64

ALIGNMENT: Final[u64] = 8


@raises
def init_control(vcpu: Vcpu, gfn: Gfn, offset: u64) -> None:
    """Takes the vCPU's control block; the first one changes the domain's form. EINVAL: it would not lie in the page, or
    not aligned; the vCPU has one; the domain has no memory there. ENOMEM.
    """
    if offset > PAGE_SIZE - size_of(ControlBlock) or offset % ALIGNMENT != 0:
        raise Errno.EINVAL
    domain = vcpu.domain
    with binding.lock as held:
        state = FifoEvents.of(domain).state.load()
        if state is None:
            state = pool.allocate()
            try:
                take_control(held, state, vcpu, gfn, offset)
            except Errno:
                pool.free(state)
                raise
            change_form(held, domain, state)
            return
        if state.queues[vcpu.id].control.load() != 0:
            raise Errno.EINVAL
        take_control(held, state, vcpu, gfn, offset)


@raises
def take_control(held: Held[Rank.EVENT_PORTS], state: FifoState, vcpu: Vcpu, gfn: Gfn, offset: u64) -> None:
    queues = state.queues[vcpu.id]
    queues.mfn = hold_writable(vcpu, gfn)
    queues.control.store_release(direct_address(paddr_of(queues.mfn)) + offset)


def change_form(held: Held[Rank.EVENT_PORTS], domain: Domain, state: FifoState) -> None:
    """What is pending now is told of as soon as it has a word. Who was about to set a port pending has done so when its
    lock is had, and from then on finds the new form.
    """
    FifoEvents.of(domain).state.store_release(state)
    Form.of(domain).form = fifo
    own = EventChannels.of(domain)
    for i in bounded(MAX_BUCKETS * PER_BUCKET, MAX_BUCKETS * PER_BUCKET):
        port = Port(u32(i))
        channel = own.find(port)
        if channel is not None and channel.state != State.FREE:
            with sending_end(held, channel).lock:
                if two_level.is_pending(domain, port):
                    channel.missed.store(True)


def sending_end(held: Held[Rank.EVENT_PORTS], channel: Channel) -> Channel:
    """Whose lock is held by who sets the port pending."""
    peer = channel.peer
    if channel.state != State.INTERDOMAIN or peer is None:
        return channel
    other = EventChannels.of(peer).find(channel.peer_port)
    assert other is not None, "a channel has no other end"
    return other


@raises
def expand_array(vcpu: Vcpu, gfn: Gfn) -> None:
    """Takes the next page of the event array, behind which `tell_missed` comes for all buckets. ENOSYS: the domain's
    events are bits. ENOSPC: there are pages for all ports. EINVAL: the domain has no memory there.
    """
    domain = vcpu.domain
    with binding.lock:
        state = FifoEvents.of(domain).state.load()
        if state is None:
            raise Errno.ENOSYS
        count = state.page_count.load()
        if count == MOST_PAGES:
            raise Errno.ENOSPC
        state.pages[count] = hold_writable(vcpu, gfn)
        state.page_count.exchange(count + 1)


def tell_missed(domain: Domain, index: u32) -> None:
    """Of the ports in a bucket, those that became pending before they had a word."""
    bucket = EventChannels.of(domain).buckets[index].load_acquire()
    if bucket is None:
        return
    for i, channel in enumerate(bucket.channels):
        if channel.missed.load() and channel.missed.exchange(False):
            with channel.lock:
                if channel.state != State.FREE:
                    port = Port(index * PER_BUCKET + u32(i))
                    form_of(domain).set_pending(domain, port, channel)


@raises
def set_priority(domain: Domain, port: Port, priority: u32) -> None:
    """From 0, the highest, to 15. ENOSYS: the domain's events are bits. EINVAL: no such port or priority."""
    if FifoEvents.of(domain).state.load() is None:
        raise Errno.ENOSYS
    channel = EventChannels.of(domain).channel(port)
    if priority >= PRIORITIES:
        raise Errno.EINVAL
    channel.priority.store(u8(priority))


def forget_form(domain: Domain) -> None:
    """Events are bits again; all ports have been closed but one that is listened to."""
    with binding.lock:
        state = FifoEvents.of(domain).state.exchange(None)
        Form.of(domain).form = two_level
        if state is not None:
            reclaimer.retire(state.retired, state)
