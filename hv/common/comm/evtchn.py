"""Event channels: edge-triggered signals between domains, among a domain's vCPUs, and from the hypervisor.

Sending takes the lock of the sender's end alone. Whatever binds or closes ports holds `binding.lock` as well, one for
all domains, since it concerns two of them: none of it is done often, and none of it takes long.

Source: public/event_channel.h.
"""

from hv.common.comm.channel import Channel, Port, State
from hv.common.comm.event_form import form_of
from hv.common.comm.event_ports import (
    MAX_BUCKETS,
    NO_PORT,
    PER_BUCKET,
    USUAL_PRIORITY,
    EventChannels,
    VcpuVirqs,
    binding,
    channel_of,
)
from hv.common.comm.virq import VIRQS, is_global
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held
from hv.common.mm.types import DomId
from hv.common.model.domain import Domain
from hv.common.model.vcpu import Vcpu, Vcpus
from hv.lang import Errno, Extension, raises, u32


class EventEnd(Extension[Domain]):
    """The end of all of a domain's channels, bucket by bucket."""

    closed: u32

    def teardown_step(self, owner: Domain) -> bool:
        with binding.lock as held:
            EventChannels.of(owner).ending = True
            if self.closed != MAX_BUCKETS:
                close_bucket(held, owner, self.closed, False)
                self.closed += 1
        return self.closed == MAX_BUCKETS

    def teardown(self, owner: Domain) -> None:
        for _ in range(MAX_BUCKETS):
            if self.teardown_step(owner):
                break


# Binding


@raises
def alloc_unbound(domain: Domain, remote: DomId) -> Port:
    """A port that the remote domain may bind. ENOSPC, ENOMEM, ESRCH."""
    with binding.lock as held:
        port = EventChannels.of(domain).allocate(held, domain)
        with channel_of(domain, port) as channel:
            channel.remote = remote
            channel.state = State.UNBOUND
        return port


@raises
def bind_interdomain(domain: Domain, remote: Domain, remote_port: Port) -> Port:
    """A port whose other end is the remote one, which waits for this domain. EINVAL: it does not, or there is none.
    ENOSPC, ENOMEM, ESRCH.
    """
    with binding.lock as held:
        other = EventChannels.of(remote).channel(remote_port)
        if other.state != State.UNBOUND or other.remote != domain.id or EventChannels.of(remote).ending:
            raise Errno.EINVAL
        port = EventChannels.of(domain).allocate(held, domain)
        with channel_of(domain, port) as channel:
            channel.remote = remote.id
            channel.peer = remote
            channel.peer_port = remote_port
            channel.state = State.INTERDOMAIN
            # What the other end sent before has gone nowhere.
            form_of(domain).set_pending(domain, port, channel)
        with channel_of(remote, remote_port) as channel:
            channel.peer = domain
            channel.peer_port = port
            channel.state = State.INTERDOMAIN
        return port


@raises
def bind_virq(domain: Domain, virq: u32, vcpu_id: u32) -> Port:
    """EINVAL: there is no such virtual interrupt, or it is a global one and the vCPU is not 0. ENOENT: no such vCPU.
    EEXIST: it is bound already. ENOSPC, ENOMEM, ESRCH.
    """
    if virq >= VIRQS or (is_global(virq) and vcpu_id != 0):
        raise Errno.EINVAL
    vcpu = Vcpus.of(domain).find(vcpu_id)
    if vcpu is None:
        raise Errno.ENOENT
    with binding.lock as held:
        if bound_to(vcpu, virq) != NO_PORT:
            raise Errno.EEXIST
        port = EventChannels.of(domain).allocate(held, domain)
        with channel_of(domain, port) as channel:
            channel.virq = virq
            channel.vcpu_id.store(vcpu_id)
            channel.state = State.VIRQ
        set_bound(vcpu, virq, port)
        return port


@raises
def bind_ipi(domain: Domain, vcpu_id: u32) -> Port:
    """ENOENT: no such vCPU. ENOSPC, ENOMEM, ESRCH."""
    if Vcpus.of(domain).find(vcpu_id) is None:
        raise Errno.ENOENT
    with binding.lock as held:
        port = EventChannels.of(domain).allocate(held, domain)
        with channel_of(domain, port) as channel:
            channel.vcpu_id.store(vcpu_id)
            channel.state = State.IPI
        return port


@raises
def bind_vcpu(domain: Domain, port: Port, vcpu_id: u32) -> None:
    """Which vCPU is told. ENOENT: no such vCPU. EINVAL: no such port, or one that is a vCPU's own."""
    if Vcpus.of(domain).find(vcpu_id) is None:
        raise Errno.ENOENT
    channel = EventChannels.of(domain).channel(port)
    with channel.lock:
        match channel.state:
            case State.UNBOUND | State.INTERDOMAIN:
                channel.vcpu_id.store(vcpu_id)
            case State.VIRQ:
                if not is_global(channel.virq):
                    raise Errno.EINVAL
                channel.vcpu_id.store(vcpu_id)
            case _:
                raise Errno.EINVAL


@raises
def close(domain: Domain, port: Port) -> None:
    """EINVAL: it is not open."""
    with binding.lock as held:
        channel = EventChannels.of(domain).channel(port)
        if channel.state == State.FREE:
            raise Errno.EINVAL
        close_channel(held, domain, port, channel)


def reset_step(domain: Domain) -> bool:
    """Closes the ports of a bucket that has some, but for one that is listened to. True: none is left."""
    for i in range(MAX_BUCKETS):
        with binding.lock as held:
            if close_bucket(held, domain, u32(i), True):
                return False
    return True


def close_bucket(held: Held[Rank.EVENT_PORTS], domain: Domain, index: u32, but_listened: bool) -> bool:
    """Whether there were any to close."""
    bucket = EventChannels.of(domain).buckets[index].load_relaxed()
    if bucket is None:
        return False
    closed = False
    for i, channel in enumerate(bucket.channels):
        port = Port(index * PER_BUCKET + u32(i))
        if channel.state != State.FREE and not (but_listened and port == EventChannels.of(domain).listened):
            close_channel(held, domain, port, channel)
            closed = True
    return closed


def close_channel(held: Held[Rank.EVENT_PORTS], domain: Domain, port: Port, channel: Channel) -> None:
    """The other end first, which can then send no more to this one."""
    own = EventChannels.of(domain)
    peer = channel.peer
    if channel.state == State.INTERDOMAIN and peer is not None:
        other = EventChannels.of(peer).find(channel.peer_port)
        assert other is not None, "a channel has no other end"
        with other.lock:
            other.state = State.UNBOUND
            other.remote = domain.id
            other.peer = None
    elif channel.state == State.VIRQ:
        vcpu = Vcpus.of(domain).find(0 if is_global(channel.virq) else channel.told)
        if vcpu is not None:
            set_bound(vcpu, channel.virq, NO_PORT)
    if port == own.listened:
        own.listened = NO_PORT
    with channel.lock:
        channel.state = State.FREE
        channel.peer = None
        channel.vcpu_id.store(0)
        channel.priority.store(USUAL_PRIORITY)
        form_of(domain).clear_pending(domain, port, channel)
    own.release(held, port)


def bound_to(vcpu: Vcpu, virq: u32) -> Port:
    """NO_PORT: it is not bound."""
    if is_global(virq):
        return Port(EventChannels.of(vcpu.domain).virqs[virq].load())
    return Port(VcpuVirqs.of(vcpu).ports[virq].load())


def set_bound(vcpu: Vcpu, virq: u32, port: Port) -> None:
    if is_global(virq):
        EventChannels.of(vcpu.domain).virqs[virq].store(u32(port))
    else:
        VcpuVirqs.of(vcpu).ports[virq].store(u32(port))


# Sending


@raises
def send(domain: Domain, port: Port) -> None:
    """Signals the other end. EINVAL: the port cannot be sent to."""
    own = EventChannels.of(domain)
    channel = own.channel(port)
    with channel.lock:
        match channel.state:
            case State.INTERDOMAIN:
                peer = channel.peer
                assert peer is not None, "a channel has no other end"
                signal(peer, channel.peer_port)
                return
            case State.IPI:
                form_of(domain).set_pending(domain, port, channel)
                return
            case State.UNBOUND:
                pass  # nobody has bound the other end: the signal is dropped, unless somebody listens in its place
            case _:
                raise Errno.EINVAL
    listener = own.listener
    if port == own.listened and listener is not None:
        listener.signalled(domain)


def signal(domain: Domain, port: Port) -> None:
    """Sets a port pending, which cannot be closed meanwhile."""
    channel = EventChannels.of(domain).find(port)
    assert channel is not None, "a signal to a port that was never made"
    form_of(domain).set_pending(domain, port, channel)


def send_virq(vcpu: Vcpu, virq: u32) -> None:
    """From any CPU, with no lock held. A domain that has not bound it hears nothing."""
    port = bound_to(vcpu, virq)
    channel = EventChannels.of(vcpu.domain).find(port)
    if channel is None:
        return
    with channel.lock:
        if channel.state == State.VIRQ and channel.virq == virq:
            form_of(vcpu.domain).set_pending(vcpu.domain, port, channel)


def answer_listened(domain: Domain) -> None:
    """Who listens in place of a port's other end signals the guest."""
    own = EventChannels.of(domain)
    channel = own.find(own.listened) if own.listened != NO_PORT else None
    if channel is None:
        return
    with channel.lock:
        if channel.state == State.UNBOUND:
            form_of(domain).set_pending(domain, own.listened, channel)
