"""The local APIC of a vCPU in time: its timer, and interrupts for it from whatever CPU.

The timer counts 100 MHz, as Xen's does. `VcpuApic.lock` protects the timer's registers and what it is set to: the vCPU
sets it, and it expires on whatever CPU the vCPU was on then.

Source: Intel SDM 3A, 10.5.4.
"""

from hv.arch import NEVER, now
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import SpinLock
from hv.common.kernel.time import MICROSECOND, Ns
from hv.common.kernel.timer import Timer, TimerOwner
from hv.common.model.vcpu import Vcpu
from hv.common.sched.core import wake
from hv.lang import Atomic, Embedded, Extension, Final, raises, truncate, u8, u32, u64
from hv.x86.hvm.lapic import (
    DIVIDE,
    INITIAL_COUNT,
    LVT_TIMER,
    MASKED,
    VECTOR,
    LocalApic,
    apic_id,
)
from hv.x86.tsc_scale import longest_ns

TICK: Final[u64] = 10  # nanoseconds of the timer's count
SHORTEST: Final[u64] = 10 * MICROSECOND  # period
LONGEST: Final[u64] = 1 << 62  # ticks of the TSC until a deadline


class VcpuApic(Extension[Vcpu], TimerOwner):
    lock: SpinLock[Rank.LOCAL_APIC]
    vcpu: Vcpu
    apic: Embedded[LocalApic]
    timer: Embedded[Timer]
    due: Ns  # when the count ends, or the deadline comes; NEVER: the timer is off
    nmi: Atomic[bool]  # one waits
    awaits_startup: Atomic[bool]  # it is off, or goes off, and a STARTUP switches it on
    begins_by_startup: bool  # as it is switched on next

    def init(self, owner: Vcpu) -> None:
        self.vcpu = owner
        self.timer.init(self)
        self.due = NEVER
        self.apic.reset(apic_id(owner.id), owner.id == 0)
        self.awaits_startup.store(owner.id != 0)

    def teardown(self, owner: Vcpu) -> None:
        self.timer.kill()

    def restart(self) -> bool:
        """The vCPU is switched on. Whether by STARTUP: then its APIC is as INIT leaves it, else as at power-on."""
        by_startup = self.begins_by_startup
        self.begins_by_startup = False
        self.nmi.store(False)
        with self.lock:
            self._stop()
            if by_startup:
                self.apic.initialise()
            else:
                self.apic.reset(apic_id(self.vcpu.id), self.vcpu.id == 0)
        return by_startup

    @raises
    def write_base(self, value: u64) -> None:
        """EPERM: the value is none that the register takes."""
        with self.lock:
            self.apic.write_base(value)
            if not self.apic.is_reachable:
                self._stop()

    # The timer

    def expired(self, now: Ns) -> None:
        """It may have been set anew since it expired: then it is not due. Of a vCPU that is off it does not go on: that
        one begins without a timer.
        """
        with self.lock:
            if now < self.due:
                return
            if self.apic.repeats and not self.vcpu.down:
                period = max(self._length(), SHORTEST)
                self.due = Ns(self.due + ((now - self.due) // period + 1) * period)
                self.timer.set(self.due)
            else:
                self.due = NEVER
                self.apic.hw.tdt_msr = 0
            local = self.apic.regs[LVT_TIMER]
        if local & MASKED == 0:
            send(self.vcpu, u8(local & VECTOR))

    def write_timer(self, register: u32, value: u32) -> None:
        """To one of the timer's registers. The count begins anew when it is written; a new divisor lets the rest of it
        take longer or shorter; whether it repeats is looked at when it ends.
        """
        with self.lock:
            counted = self.apic.counts
            divisor = u64(self.apic.hw.timer_divisor)
            self.apic.write(register, value)
            if register == LVT_TIMER and self.apic.counts != counted:
                self._stop()
            elif register == INITIAL_COUNT and counted:
                self._stop()
                if value != 0:
                    self._set(Ns(now() + self._length()))
            elif register == DIVIDE and counted and self.due != NEVER:
                at = now()
                left = self.due - at if self.due > at else 0
                self._set(Ns(at + left * u64(self.apic.hw.timer_divisor) // divisor))

    def current_count(self) -> u32:
        """0 behind the end of a count that does not repeat, and in no other moment while it runs."""
        with self.lock:
            if self.due == NEVER or not self.apic.counts:
                return 0
            at = now()
            left = self.due - at if self.due > at else 0
            if left == 0 and self.apic.repeats:
                length = self._length()
                left = length - (at - self.due) % length
            tick = self._tick()
            return truncate(u32, min((left + tick - 1) // tick, u64(self.apic.regs[INITIAL_COUNT])))

    def set_deadline(self, deadline: u64, left: u64) -> None:
        """A point of the guest's time stamp counter, and ticks until then, modulo 2**64; 0: none. A timer that counts
        does not heed it.
        """
        with self.lock:
            if self.apic.counts or not self.apic.is_reachable:
                return
            self._stop()
            self.apic.hw.tdt_msr = deadline
            if deadline != 0:
                self._set(Ns(now() + (0 if left > LONGEST else longest_ns(left))))

    def _set(self, due: Ns) -> None:
        self.due = due
        self.timer.set(due)

    def _stop(self) -> None:
        self.due = NEVER
        self.timer.cancel()

    def _tick(self) -> u64:
        """In ns."""
        return u64(self.apic.hw.timer_divisor) * TICK

    def _length(self) -> u64:
        """Of the whole count, in ns."""
        return u64(self.apic.regs[INITIAL_COUNT]) * self._tick()


def has_nmi(vcpu: Vcpu) -> bool:
    return VcpuApic.of(vcpu).nmi.load_relaxed()


def take_nmi(vcpu: Vcpu) -> None:
    VcpuApic.of(vcpu).nmi.store(False)


def send_nmi(target: Vcpu) -> None:
    """From any CPU. One that waits already stands for both."""
    VcpuApic.of(target).nmi.store(True)
    wake(target)


def send(target: Vcpu, vector: u8) -> None:
    """From any CPU. One that cannot be sent is an error that the target sees."""
    VcpuApic.of(target).apic.post(vector)
    wake(target)
