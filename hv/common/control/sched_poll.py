"""A guest waits for events without taking them as interrupts (public/sched.h)."""

from hv.common.comm.channel import Port
from hv.common.comm.event_form import form_of
from hv.common.comm.event_ports import EventChannels
from hv.common.comm.polling import ANY_PORT, Polling
from hv.common.comm.vcpu_info import VcpuInfo
from hv.common.control.handle import read_guest
from hv.common.control.hypercall import SCHED_OP, hypercall
from hv.common.kernel.time import Ns
from hv.common.model.vcpu import Vcpu
from hv.common.sched.core import block_unless
from hv.lang import Errno, Final, Long, abi, address_of, array, bounded, raises, size_of, u32, u64

MOST_POLLED: Final = 128


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
