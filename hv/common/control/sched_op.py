"""What a guest asks of the scheduler, and how it ends (public/sched.h)."""

from hv.common.comm.channel import Port
from hv.common.comm.event_form import form_of
from hv.common.comm.event_ports import EventChannels
from hv.common.comm.polling import ANY_PORT, Polling
from hv.common.comm.vcpu_info import VcpuInfo
from hv.common.control.handle import read_guest
from hv.common.control.hypercall import SCHED_OP, bare, hypercall
from hv.common.kernel.time import Ns
from hv.common.model.domain import ShutdownReason
from hv.common.model.ending import shut_down
from hv.common.model.vcpu import Vcpu
from hv.common.sched.core import block, block_unless, yield_
from hv.lang import Errno, Final, Long, abi, address_of, array, bounded, i64, raises, size_of, u8, u32, u64

MOST_POLLED: Final = 128


@bare(SCHED_OP, sub=0)
def yield_op(caller: Vcpu) -> i64:
    """Others go first."""
    yield_()
    return 0


@bare(SCHED_OP, sub=1)
def block_op(caller: Vcpu) -> i64:
    """Waits for an event."""
    block()
    return 0


@abi("xen/sched.h", "sched_shutdown_t")
class SchedShutdown:
    reason: u32


@hypercall(SCHED_OP, sub=2)
@raises
def shutdown(caller: Vcpu, request: SchedShutdown) -> u64:
    """Ends the caller's domain. EINVAL: there is no such reason."""
    if request.reason > u32(u8(ShutdownReason.CRASH)):
        raise Errno.EINVAL
    shut_down(caller.domain, ShutdownReason(u8(request.reason)))
    return 0


@abi("xen/sched.h", "sched_poll_t")
class SchedPoll:
    ports: Long[u64]
    nr_ports: u32
    timeout: u64


class Ports:
    numbers: array[Port, MOST_POLLED]


@hypercall(SCHED_OP, sub=3)
@raises
def poll(caller: Vcpu, request: SchedPoll) -> u64:
    """Waits until an event comes on one of the ports, masked or not, or until the time, in ns; 0: for ever. EINVAL: too
    many ports, or one that is none. EFAULT.
    """
    if request.nr_ports > MOST_POLLED:
        raise Errno.EINVAL
    ports = Ports()
    read_guest(caller, request.ports, address_of(ports), u64(request.nr_ports) * size_of(Port))
    for i in bounded(request.nr_ports, MOST_POLLED):
        EventChannels.of(caller.domain).channel(ports.numbers[i])
    polling = Polling.of(caller)
    polling.begin(u32(ports.numbers[0]) if request.nr_ports == 1 else ANY_PORT)
    for i in bounded(request.nr_ports, MOST_POLLED):
        if form_of(caller.domain).is_pending(caller.domain, ports.numbers[i]):
            polling.end()
            return 0
    if request.timeout != 0:
        polling.timer.set(Ns(request.timeout))
    block_unless(may_go_on)
    return 0


def may_go_on(vcpu: Vcpu) -> bool:
    """What it polled for has come, or an event that it takes otherwise."""
    return Polling.of(vcpu).is_over or VcpuInfo.of(vcpu).upcall_pending
