"""What a guest asks of the scheduler, and how it ends (public/sched.h)."""

from hv.common.control.hypercall import SCHED_OP, bare, hypercall
from hv.common.model.domain import ShutdownReason
from hv.common.model.ending import shut_down
from hv.common.model.vcpu import Vcpu
from hv.common.sched.core import block, yield_
from hv.config import CONFIG_DOMAIN_WATCHDOG
from hv.lang import Errno, Final, abi, i64, raises, u8, u32, u64

if CONFIG_DOMAIN_WATCHDOG:
    from hv.common.control.domain_watchdog import Watchdogs

LAST_REASON: Final = ShutdownReason.WATCHDOG if CONFIG_DOMAIN_WATCHDOG else ShutdownReason.CRASH


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
    if request.reason > u32(u8(LAST_REASON)):
        raise Errno.EINVAL
    shut_down(caller.domain, ShutdownReason(u8(request.reason)))
    return 0


if CONFIG_DOMAIN_WATCHDOG:

    @abi("xen/sched.h", "sched_watchdog_t")
    class SchedWatchdog:
        id: u32
        timeout: u32

    @hypercall(SCHED_OP, sub=6)
    @raises
    def watchdog(caller: Vcpu, request: SchedWatchdog) -> u64:
        """Begins a watchdog of the caller's domain (`id` is 0; the answer is its number), pats it with another
        `timeout` in seconds, or ends it (`timeout` is 0). One that runs out shuts the domain down. EINVAL: there is no
        such one. EEXIST: both are in use.
        """
        return u64(Watchdogs.of(caller.domain).set(request.id, request.timeout))
