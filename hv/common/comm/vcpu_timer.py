"""A vCPU's timers, which tell it by VIRQ_TIMER: one that expires once, and one that comes again (public/vcpu.h).

Guests set them in the hypervisor's time, which they read as system time. `VcpuTimers.lock` serialises who sets them.
"""

from hv.arch import now
from hv.common.comm.evtchn import send_virq
from hv.common.comm.virq import TIMER
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import SpinLock
from hv.common.kernel.time import MILLISECOND, Ns
from hv.common.kernel.timer import Timer, TimerOwner
from hv.common.model.vcpu import Vcpu
from hv.lang import Embedded, Errno, Extension, Final, raises, u64

SHORTEST: Final[u64] = 1 * MILLISECOND
LONGEST: Final[u64] = 0x7FFF_FFFF_FFFF_FFFF


class Once(TimerOwner):
    vcpu: Vcpu
    timer: Embedded[Timer]

    def expired(self, now: Ns) -> None:
        send_virq(self.vcpu, TIMER)


class Periodic(TimerOwner):
    vcpu: Vcpu
    timer: Embedded[Timer]
    period: u64  # ns; 0: it is stopped

    def expired(self, now: Ns) -> None:
        """Those that were missed come as one."""
        send_virq(self.vcpu, TIMER)
        VcpuTimers.of(self.vcpu).go_on(now)


class VcpuTimers(Extension[Vcpu]):
    lock: SpinLock[Rank.VCPU_TIMER]
    once: Embedded[Once]
    periodic: Embedded[Periodic]

    def init(self, owner: Vcpu) -> None:
        self.once.vcpu = owner
        self.once.timer.init(self.once)
        self.periodic.vcpu = owner
        self.periodic.timer.init(self.periodic)

    def teardown(self, owner: Vcpu) -> None:
        self.stop_periodic()
        self.once.timer.kill()
        self.periodic.timer.kill()

    @raises
    def set_once(self, deadline: Ns, must_come: bool) -> None:
        """ETIME: it has passed, and `must_come`."""
        if must_come and deadline < now():
            raise Errno.ETIME
        with self.lock:
            self.once.timer.set(deadline)

    def stop_once(self) -> None:
        with self.lock:
            self.once.timer.cancel()

    @raises
    def set_periodic(self, period: u64) -> None:
        """In ns. EINVAL: less than a millisecond, or beyond all time."""
        if period < SHORTEST or period > LONGEST:
            raise Errno.EINVAL
        with self.lock:
            self.periodic.period = period
            self.periodic.timer.set(Ns(now() + period))

    def stop_periodic(self) -> None:
        with self.lock:
            self.periodic.period = 0
            self.periodic.timer.cancel()

    def go_on(self, expired: Ns) -> None:
        with self.lock:
            period = self.periodic.period
            if period != 0:
                due = self.periodic.timer.deadline
                missed = (expired - due) // period if expired > due else 0
                self.periodic.timer.set(Ns(due + (missed + 1) * period))
