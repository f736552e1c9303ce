"""The local APIC of a vCPU among the others, and in time: interrupts that it sends, its timer, its model-specific
registers.

The timer counts 100 MHz, as Xen's does. `VcpuApic.lock` protects what the timer is set to: the vCPU sets it, and it
expires on whatever CPU the vCPU was on then.

Source: Intel SDM 3A, 10.5.4, 10.6.1 and 10.12.
"""

from hv.arch import now
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import SpinLock
from hv.common.kernel.time import MICROSECOND, Ns, Ticks
from hv.common.kernel.timer import Timer, TimerOwner
from hv.common.model.vcpu import Vcpu, Vcpus
from hv.common.sched.core import vcpu_down, vcpu_up, wake
from hv.lang import Atomic, Embedded, Errno, Extension, Final, raises, truncate, u8, u32, u64
from hv.x86.hvm.lapic import (
    BOOT_CPU,
    CURRENT_COUNT,
    DEADLINE,
    DEFAULT_BASE,
    EOI,
    ESR,
    FIRST_VECTOR,
    GLOBALLY_ENABLED,
    ICR,
    ICR_HIGH,
    MASKED,
    PERIODIC,
    SELF_IPI,
    SEND_ILLEGAL,
    TPR,
    X2APIC,
    Effect,
    LocalApic,
    apic_id,
)
from hv.x86.hvm.state import HvmDomain, HvmVcpu
from hv.x86.hvm.virtualisation import virtualisation
from hv.x86.timer import to_ns

TICK: Final[u64] = 10  # nanoseconds of the timer's count
SHORTEST: Final[u64] = 10 * MICROSECOND  # period
LONGEST: Final[u64] = 1 << 62  # ticks of the TSC until a deadline
FIRST_REGISTER: Final[u32] = 0x800  # of x2APIC's
LAST_REGISTER: Final[u32] = 0x83F
LOW: Final[u64] = 0xFFFF_FFFF

SELF: Final = 1  # shorthands of the command register
EVERYBODY: Final = 2
OTHERS: Final = 3
LOGICAL: Final[u32] = 1 << 11
ASSERT: Final[u32] = 1 << 14
LEVEL: Final[u32] = 1 << 15


class VcpuApic(Extension[Vcpu], TimerOwner):
    lock: SpinLock[Rank.LOCAL_APIC]
    vcpu: Vcpu
    apic: Embedded[LocalApic]
    timer: Embedded[Timer]
    period: u64  # in ns; 0: it does not count
    since: Ns  # when the count began
    deadline: u64  # in the guest's ticks; 0: none
    awaits_startup: Atomic[bool]  # it is off, and a STARTUP switches it on

    def init(self, owner: Vcpu) -> None:
        self.vcpu = owner
        self.timer.init(self)
        self.apic.reset(apic_id_of(owner), owner.id == 0)
        self.awaits_startup.store(owner.id != 0)

    def teardown(self, owner: Vcpu) -> None:
        self.timer.kill()

    def restart(self) -> None:
        """The vCPU is switched on."""
        self.timer.cancel()
        with self.lock:
            self.period = 0
            self.deadline = 0
        self.apic.reset(apic_id_of(self.vcpu), self.vcpu.id == 0)

    # The timer

    def expired(self, now: Ns) -> None:
        with self.lock:
            if self.apic.timer_mode == DEADLINE:
                due = self.deadline != 0
                self.deadline = 0
            else:
                due = self.period != 0
                if self.apic.timer_mode == PERIODIC and due:
                    self.since = Ns(now - (now - self.since) % self.period)
                    self.timer.set(Ns(self.since + self.period))
        if due and self.apic.lvt[0] & MASKED == 0:
            send(self.vcpu, self.apic.timer_vector)

    def set_count(self) -> None:
        """Behind a write to count, divider or mode: the count begins anew."""
        with self.lock:
            self.timer.cancel()
            self.deadline = 0
            self.period = 0
            if self.apic.timer_mode == DEADLINE or self.apic.initial_count == 0:
                return
            period = u64(self.apic.initial_count) * self.apic.divider * TICK
            self.period = max(period, SHORTEST) if self.apic.timer_mode == PERIODIC else period
            self.since = now()
            self.timer.set(Ns(self.since + self.period))

    def current_count(self) -> u32:
        with self.lock:
            if self.period == 0:
                return 0
            passed = u64(now() - self.since)
            if passed >= self.period:
                if self.apic.timer_mode != PERIODIC:
                    return 0
                passed %= self.period
            return truncate(u32, (self.period - passed) // (self.apic.divider * TICK))

    def set_deadline(self, ticks: u64) -> None:
        """A point of the guest's time stamp counter; 0: none. In another mode the write is ignored."""
        if self.apic.timer_mode != DEADLINE:
            return
        at = now()
        left = ticks - HvmDomain.of(self.vcpu.domain).tsc
        with self.lock:
            self.timer.cancel()
            self.deadline = ticks
            if ticks != 0:
                passed = left > LONGEST
                self.timer.set(at if passed else Ns(at + to_ns(Ticks(left))))

    # Registers

    def read(self, register: u32) -> u32:
        return self.current_count() if register == CURRENT_COUNT else self.apic.read(register)

    def write(self, register: u32, value: u32) -> None:
        match self.apic.write(register, value):
            case Effect.NOTHING:
                if register == TPR:
                    virtualisation().set_task_priority(self.vcpu, u8(self.apic.tpr >> 4))
            case Effect.SEND:
                command(self.vcpu, self.apic)
            case Effect.TIMER:
                self.set_count()


def apic_id_of(vcpu: Vcpu) -> u32:
    return apic_id(vcpu.id)


def send(target: Vcpu, vector: u8) -> None:
    """From any CPU."""
    VcpuApic.of(target).apic.post(vector)
    wake(target)


def command(sender: Vcpu, apic: LocalApic) -> None:
    """Sends what the interrupt command register says."""
    shorthand = apic.icr >> 18 & 3
    destination = apic.icr_high if apic.is_x2apic else apic.icr_high >> 24
    if apic.icr >> 8 & 7 == 0 and apic.icr & 0xFF < FIRST_VECTOR:
        apic.errors |= SEND_ILLEGAL
        return
    for target in Vcpus.of(sender.domain):
        if is_target(sender, target, shorthand, destination, apic):
            deliver_command(target, apic.icr)


def is_target(sender: Vcpu, target: Vcpu, shorthand: u32, destination: u32, apic: LocalApic) -> bool:
    match shorthand:
        case 1:
            return target is sender
        case 2:
            return True
        case 3:
            return target is not sender
        case _:
            logical = apic.icr & LOGICAL != 0
            return VcpuApic.of(target).apic.answers(destination, logical, apic.is_x2apic)


def deliver_command(target: Vcpu, icr: u32) -> None:
    """Fixed interrupts, and to one of lowest priority too, which may be any; INIT and STARTUP."""
    match icr >> 8 & 7:
        case 0 | 1:
            send(target, u8(icr & 0xFF))
        case 5:
            if icr & ASSERT != 0 or icr & LEVEL == 0:
                vcpu_down(target)
                VcpuApic.of(target).awaits_startup.store(True)
        case 6:
            start(target, icr & 0xFF)
        case _:
            pass


def start(target: Vcpu, page: u32) -> None:
    """STARTUP, to a vCPU that waits for it. One that is not quite off yet misses it, and gets another."""
    own = VcpuApic.of(target)
    if not own.awaits_startup.exchange(False):
        return
    HvmVcpu.of(target).starts_in_real_mode = True
    try:
        vcpu_up(target, u64(page) << 12, 0)
    except Errno:
        own.awaits_startup.store(True)


# Model-specific registers


def read_base(vcpu: Vcpu) -> u64:
    return VcpuApic.of(vcpu).apic.base


@raises
def write_base(vcpu: Vcpu, value: u64) -> None:
    """x2APIC is turned on, and not off again; the address stays. EPERM."""
    apic = VcpuApic.of(vcpu).apic
    if value == apic.base:
        return
    if value & ~(X2APIC | GLOBALLY_ENABLED | BOOT_CPU) != DEFAULT_BASE or (value ^ apic.base) & BOOT_CPU != 0:
        raise Errno.EPERM
    if value & X2APIC == 0 or value & GLOBALLY_ENABLED == 0 or apic.is_x2apic:
        raise Errno.EPERM
    apic.turn_x2apic_on()


@raises
def read_register(vcpu: Vcpu, number: u32) -> u64:
    """EPERM: there is no such register, or x2APIC is off."""
    own = VcpuApic.of(vcpu)
    register = number - FIRST_REGISTER
    if not own.apic.is_x2apic or not own.apic.exists(register, False):
        raise Errno.EPERM
    if register == ICR:
        return u64(own.apic.icr_high) << 32 | u64(own.apic.icr)
    return u64(own.read(register))


@raises
def write_register(vcpu: Vcpu, number: u32, value: u64) -> None:
    """EPERM: there is no such register, or x2APIC is off, or a reserved bit is set."""
    own = VcpuApic.of(vcpu)
    register = number - FIRST_REGISTER
    if not own.apic.is_x2apic or not own.apic.exists(register, True):
        raise Errno.EPERM
    if register == ICR:
        own.write(ICR_HIGH, u32(value >> 32))
    elif value > LOW or (register in (EOI, ESR) and value != 0) or (register in (TPR, SELF_IPI) and value > 0xFF):
        raise Errno.EPERM
    own.write(register, truncate(u32, value))
