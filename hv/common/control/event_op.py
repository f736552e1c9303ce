"""What a guest asks of its event channels: event_channel_op (public/event_channel.h)."""

from hv.common.comm import evtchn, fifo_setup
from hv.common.comm.channel import State
from hv.common.comm.event_form import form_of
from hv.common.comm.event_ports import MAX_BUCKETS, EventChannels
from hv.common.control.domid import must_manage, named, numbered
from hv.common.control.event_layout import (
    AllocUnbound,
    BindInterdomain,
    BindIpi,
    BindVcpu,
    BindVirq,
    Close,
    ExpandArray,
    InitControl,
    Reset,
    Send,
    SetPriority,
    Status,
    Unmask,
)
from hv.common.control.hypercall import EVENT_CHANNEL_OP, answering, begin, hypercall, is_long_enough
from hv.common.mm.types import Gfn
from hv.common.model.vcpu import Vcpu, Vcpus
from hv.lang import Errno, Final, bounded, raises, u8, u32, u64

STATUS_CLOSED: Final[u32] = 0
STATUS_UNBOUND: Final[u32] = 1
STATUS_INTERDOMAIN: Final[u32] = 2
STATUS_VIRQ: Final[u32] = 4
STATUS_IPI: Final[u32] = 5
LINK_BITS: Final[u8] = 17
GFN_BITS: Final = 52  # none is longer


@answering(EVENT_CHANNEL_OP, sub=0)
@raises
def bind_interdomain(caller: Vcpu, request: BindInterdomain) -> u64:
    """Makes a port whose other end waits in another domain. ESRCH: no such domain. EINVAL: no port there waits for
    the caller. ENOSPC: too many ports. ENOMEM.
    """
    with named(caller, request.remote_dom) as remote:
        request.local_port = evtchn.bind_interdomain(caller.domain, remote, request.remote_port)
    return 0


@answering(EVENT_CHANNEL_OP, sub=1)
@raises
def bind_virq(caller: Vcpu, request: BindVirq) -> u64:
    """Makes a port for a virtual interrupt. EINVAL: no such one, or it is global and the vCPU is not 0. ENOENT: no such
    vCPU. EEXIST: it has a port. ENOSPC, ENOMEM.
    """
    request.port = evtchn.bind_virq(caller.domain, request.virq, request.vcpu)
    return 0


@hypercall(EVENT_CHANNEL_OP, sub=3)
@raises
def close(caller: Vcpu, request: Close) -> u64:
    """EINVAL: the port is not open."""
    evtchn.close(caller.domain, request.port)
    return 0


@hypercall(EVENT_CHANNEL_OP, sub=4)
@raises
def send(caller: Vcpu, request: Send) -> u64:
    """Signals the other end of a port. EINVAL: the port cannot be sent to."""
    evtchn.send(caller.domain, request.port)
    return 0


@answering(EVENT_CHANNEL_OP, sub=5)
@raises
def status(caller: Vcpu, request: Status) -> u64:
    """What a port is. ESRCH: no such domain. EPERM: another's, without control over it. EINVAL: no such port."""
    with named(caller, request.dom) as domain:
        must_manage(caller, domain)
        channel = EventChannels.of(domain).channel(request.port)
        with channel.lock:
            request.vcpu = channel.told
            match channel.state:
                case State.FREE:
                    request.status = STATUS_CLOSED
                case State.UNBOUND:
                    request.status = STATUS_UNBOUND
                    request.u.unbound = channel.remote
                case State.INTERDOMAIN:
                    request.status = STATUS_INTERDOMAIN
                    request.u.interdomain.dom = channel.remote
                    request.u.interdomain.port = channel.peer_port
                case State.VIRQ:
                    request.status = STATUS_VIRQ
                    request.u.virq = channel.virq
                case State.IPI:
                    request.status = STATUS_IPI
    return 0


@answering(EVENT_CHANNEL_OP, sub=6)
@raises
def alloc_unbound(caller: Vcpu, request: AllocUnbound) -> u64:
    """Makes a port that waits for another domain. ESRCH: no such domain. EPERM: another's, without control over it.
    ENOSPC: too many ports. ENOMEM.
    """
    with named(caller, request.dom) as domain:
        must_manage(caller, domain)
        request.port = evtchn.alloc_unbound(domain, numbered(caller, request.remote_dom))
    return 0


@answering(EVENT_CHANNEL_OP, sub=7)
@raises
def bind_ipi(caller: Vcpu, request: BindIpi) -> u64:
    """Makes a port by which vCPUs signal one of them. ENOENT: no such vCPU. ENOSPC: too many ports. ENOMEM."""
    request.port = evtchn.bind_ipi(caller.domain, request.vcpu)
    return 0


@hypercall(EVENT_CHANNEL_OP, sub=8)
@raises
def bind_vcpu(caller: Vcpu, request: BindVcpu) -> u64:
    """Chooses the vCPU that is told. ENOENT: no such vCPU. EINVAL: no such port, or one that is a vCPU's own."""
    evtchn.bind_vcpu(caller.domain, request.port, request.vcpu)
    return 0


@hypercall(EVENT_CHANNEL_OP, sub=9)
@raises
def unmask(caller: Vcpu, request: Unmask) -> u64:
    """The port is told of again, and at once when it is pending. EINVAL: no such port."""
    channel = EventChannels.of(caller.domain).channel(request.port)
    form_of(caller.domain).unmask(caller.domain, request.port, channel)
    return 0


@hypercall(EVENT_CHANNEL_OP, sub=10)
@raises
def reset(caller: Vcpu, request: Reset) -> u64:
    """Closes all ports but the one by which the hypervisor plays the console's backend; events are bits. ESRCH: no such
    domain. EPERM: another's, without control over it.
    """
    with named(caller, request.dom) as domain:
        must_manage(caller, domain)
        if not evtchn.reset_step(domain):
            raise Errno.ERESTART
        fifo_setup.forget_form(domain)
    return 0


@answering(EVENT_CHANNEL_OP, sub=11)
@raises
def init_control(caller: Vcpu, request: InitControl) -> u64:
    """Gives a vCPU's control block; with the first the domain's events are queues. ENOENT: no such vCPU. EINVAL: the
    block would not lie in the page, or not aligned; the vCPU has one; there is no memory of the domain's. ENOMEM.
    """
    vcpu = Vcpus.of(caller.domain).find(request.vcpu)
    if vcpu is None:
        raise Errno.ENOENT
    fifo_setup.init_control(vcpu, Gfn(request.control_gfn), u64(request.offset))
    request.link_bits = LINK_BITS
    return 0


@answering(EVENT_CHANNEL_OP, sub=12)
@raises
def expand_array(caller: Vcpu, request: ExpandArray) -> u64:
    """Gives the next page of the event array. ENOSYS: the domain's events are bits. ENOSPC: there are pages for all
    ports. EINVAL: there is no memory of the domain's.
    """
    # Progress, in buckets of ports, is kept above the frame's number: with any there, the page has been taken.
    begin()
    done = u32(request.array_gfn >> GFN_BITS)
    gfn = request.array_gfn & (u64(1) << GFN_BITS) - 1
    if done == 0:
        fifo_setup.expand_array(caller, Gfn(gfn))
    for i in bounded(done, MAX_BUCKETS, MAX_BUCKETS):
        fifo_setup.tell_missed(caller.domain, u32(i))
        if is_long_enough() and i + 1 < MAX_BUCKETS:
            request.array_gfn = u64(i + 1) << GFN_BITS | gfn
            raise Errno.ERESTART
    request.array_gfn = gfn
    return 0


@hypercall(EVENT_CHANNEL_OP, sub=13)
@raises
def set_priority(caller: Vcpu, request: SetPriority) -> u64:
    """Of a port's events. ENOSYS: the domain's events are bits. EINVAL: no such port or priority."""
    fifo_setup.set_priority(caller.domain, request.port, request.priority)
    return 0
