"""What a guest asks of the scheduler, and how it ends (public/sched.h)."""

from hv.common.control.hypercall import SCHED_OP, hypercall
from hv.common.model.domain import ShutdownReason
from hv.common.model.ending import shut_down
from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, abi, raises, u8, u32, u64


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
