"""The generic timer as a guest has it (Arm DDI 0487, D11).

The virtual timer is the CPU's own: a guest uses it without a trap, shifted by the domain's CNTVOFF. Its interrupt
comes to the hypervisor, stays active there and is forwarded: the list register is linked to it, so the guest's end of
interrupt deactivates it, and it comes again only when the timer's condition still holds. While a vCPU is not loaded,
a hypervisor timer stands in.

The physical timer is the guest's emulated one: its registers trap. Its counter is the machine's, read without a trap.

`Vgic.lock` protects what both timers keep; `fired` belongs to the CPU that has the vCPU loaded.
"""

from hv.arch import now
from hv.arm64 import timer as clock
from hv.arm64.controller import Trigger, gic
from hv.arm64.guest_map import PHYSICAL_TIMER, VIRTUAL_TIMER
from hv.arm64.interrupts import interrupts
from hv.arm64.loaded import loaded_vcpu
from hv.arm64.sysreg import TimerControl
from hv.arm64.timer_node import timer_node
from hv.arm64.vgic_state import Vgic, VgicCpu, notify
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held
from hv.common.kernel.time import Ns, Ticks
from hv.common.kernel.timer import Timer, TimerOwner
from hv.common.kernel.trace import trace2
from hv.common.kernel.trace_events import Event
from hv.common.model.domain import Domain
from hv.common.model.vcpu import Vcpu
from hv.lang import Embedded, Extension, Final, SystemRegister, U8Enum, raises, truncate, u16, u32, u64

CNTV_CTL_EL0: Final = SystemRegister("cntv_ctl_el0")
CNTV_CVAL_EL0: Final = SystemRegister("cntv_cval_el0")
CNTVOFF_EL2: Final = SystemRegister("cntvoff_el2")

VIRTUAL: Final[u32] = 1 << VIRTUAL_TIMER
PHYSICAL: Final[u32] = 1 << PHYSICAL_TIMER
FARTHEST: Final[u64] = 1 << 31  # seconds: a deadline beyond never comes
SETTINGS: Final[u64] = 3  # the control bits that a guest can write: enable, mask
SIGN: Final[u64] = 1 << 31
SIGN_EXTENSION: Final[u64] = 0xFFFF_FFFF_0000_0000


class TimerRegister(U8Enum):
    VALUE = 0  # CNTP_TVAL_EL0: ticks from now to the deadline, 32 bits, signed
    CONTROL = 1  # CNTP_CTL_EL0
    COMPARE = 2  # CNTP_CVAL_EL0: the deadline


class TimeOffset(Extension[Domain]):
    ticks: u64  # a guest's virtual counter begins at zero when its domain is made

    def init(self, owner: Domain) -> None:
        self.ticks = clock.ticks()


class VirtualTimer(TimerOwner):
    """The state of a vCPU's virtual timer while it is not in the hardware."""

    vcpu: Vcpu
    control: u64
    compare: u64
    saved: bool
    fired: bool  # the physical interrupt has come, and is not yet entered in the bank
    stand_in: Embedded[Timer]

    def expired(self, now: Ns) -> None:
        with Vgic.of(self.vcpu.domain).lock as held:
            raised = self.saved and self.rise(held)
        trace2(Event.SCHED_DOM_TIMER_FN, u32(u16(self.vcpu.domain.id)), self.vcpu.id)
        if raised:
            notify(self.vcpu)

    def rise(self, held: Held[Rank.VGIC]) -> bool:
        """Asserts the line of one that is saved when its deadline has come; else lets the stand-in wait for it."""
        control = TimerControl(self.control)
        if not control.enable or control.masked:
            return False
        counter = clock.ticks() - TimeOffset.of(self.vcpu.domain).ticks
        if counter >= self.compare:
            VgicCpu.of(self.vcpu).private.line |= VIRTUAL
            return True
        self.wait(self.compare - counter)
        return False

    def wait(self, ticks: u64) -> None:
        set_stand_in(self.stand_in, ticks)


class PhysicalTimer(TimerOwner):
    vcpu: Vcpu
    control: u64
    compare: u64
    stand_in: Embedded[Timer]

    def expired(self, now: Ns) -> None:
        with Vgic.of(self.vcpu.domain).lock as held:
            raised = self.update(held)
        trace2(Event.SCHED_DOM_TIMER_FN, u32(u16(self.vcpu.domain.id)), self.vcpu.id)
        if raised:
            notify(self.vcpu)

    def update(self, held: Held[Rank.VGIC]) -> bool:
        """Brings line and stand-in in accord with the registers. True: the line is asserted."""
        bank = VgicCpu.of(self.vcpu).private
        bank.line &= ~PHYSICAL
        control = TimerControl(self.control)
        counter = u64(clock.ticks())
        if not control.enable or control.masked:
            self.stand_in.cancel()
            return False
        if counter >= self.compare:
            bank.line |= PHYSICAL
            return True
        set_stand_in(self.stand_in, self.compare - counter)
        return False


class Vtimer(Extension[Vcpu]):
    virtual: Embedded[VirtualTimer]
    physical: Embedded[PhysicalTimer]

    def init(self, owner: Vcpu) -> None:
        self.virtual.vcpu = owner
        self.virtual.saved = True
        self.virtual.stand_in.init(self.virtual)
        self.physical.vcpu = owner
        self.physical.stand_in.init(self.physical)
        VgicCpu.of(owner).private.physical[VIRTUAL_TIMER] = u16(timer_node.virtual)

    def teardown(self, owner: Vcpu) -> None:
        self.virtual.stand_in.kill()
        self.physical.stand_in.kill()

    def reset(self) -> None:
        """As a CPU that is switched on has them: off. The vCPU is not loaded."""
        self.virtual.control = 0
        self.virtual.compare = 0
        self.physical.control = 0
        self.physical.compare = 0
        self.virtual.stand_in.cancel()
        self.physical.stand_in.cancel()


def set_stand_in(timer: Timer, ticks: u64) -> None:
    """Lets a hypervisor timer expire so many ticks from now, or a moment before: its owner looks again."""
    if ticks < FARTHEST * clock.counter.frequency:
        timer.set(Ns(now() + clock.to_ns(Ticks(ticks))))
    else:
        timer.cancel()


@raises
def claim_timer() -> None:
    """Once, at boot. EINVAL, EBUSY: the virtual timer's interrupt cannot be had."""
    interrupts.claim(timer_node.virtual, Trigger.LEVEL, fired, True)


def fired(intid: u32) -> None:
    """The virtual timer's interrupt, which is active from here on."""
    vcpu = loaded_vcpu()
    if vcpu is None or not is_due():
        gic.driver.deactivate(intid)  # the vCPU has gone, or set its timer anew, in the moment before
        return
    Vtimer.of(vcpu).virtual.fired = True
    VgicCpu.of(vcpu).dirty.store(1)


def is_due() -> bool:
    """Whether the loaded vCPU's virtual timer asserts its interrupt."""
    control = TimerControl(CNTV_CTL_EL0.read())
    return control.enable and not control.masked and control.fired


def resample(held: Held[Rank.VGIC], vcpu: Vcpu) -> None:
    """Brings the bank of the loaded vCPU, whose list registers are folded, in accord with the hardware."""
    timer = Vtimer.of(vcpu).virtual
    bank = VgicCpu.of(vcpu).private
    if timer.fired:
        timer.fired = False
        bank.forwarded |= VIRTUAL
    if bank.forwarded & ~bank.linked & VIRTUAL != 0 and not is_due():
        _release(vcpu)


def load(held: Held[Rank.VGIC], vcpu: Vcpu) -> None:
    timer = Vtimer.of(vcpu).virtual
    bank = VgicCpu.of(vcpu).private
    timer.saved = False
    timer.stand_in.cancel()
    bank.line &= ~VIRTUAL  # if it is asserted, the hardware says so
    if bank.active & VIRTUAL != 0:
        gic.driver.activate(timer_node.virtual)
        bank.forwarded |= VIRTUAL
        bank.linked |= VIRTUAL
    CNTVOFF_EL2.write(TimeOffset.of(vcpu.domain).ticks)
    CNTV_CVAL_EL0.write(timer.compare)
    CNTV_CTL_EL0.write(timer.control)


def save(held: Held[Rank.VGIC], vcpu: Vcpu) -> None:
    """After the list registers have been folded."""
    timer = Vtimer.of(vcpu).virtual
    timer.control = CNTV_CTL_EL0.read() & SETTINGS
    timer.compare = CNTV_CVAL_EL0.read()
    CNTV_CTL_EL0.write(0)
    if timer.fired or VgicCpu.of(vcpu).private.forwarded & VIRTUAL != 0:
        timer.fired = False
        _release(vcpu)
    timer.saved = True
    if timer.rise(held):
        timer.wait(0)  # who waits for it is woken there: here the scheduler's lock is held


def _release(vcpu: Vcpu) -> None:
    """The physical interrupt may come again."""
    bank = VgicCpu.of(vcpu).private
    bank.forwarded &= ~VIRTUAL
    bank.linked &= ~VIRTUAL
    gic.driver.deactivate(timer_node.virtual)


# The physical timer's registers


def read_physical(vcpu: Vcpu, register: TimerRegister) -> u64:
    timer = Vtimer.of(vcpu).physical
    counter = u64(clock.ticks())
    match register:
        case TimerRegister.VALUE:
            return timer.compare - counter & 0xFFFF_FFFF
        case TimerRegister.CONTROL:
            control = TimerControl(timer.control)
            control.fired = control.enable and counter >= timer.compare
            return control.raw
        case TimerRegister.COMPARE:
            return timer.compare


def write_physical(vcpu: Vcpu, register: TimerRegister, value: u64) -> None:
    timer = Vtimer.of(vcpu).physical
    with Vgic.of(vcpu.domain).lock as held:
        match register:
            case TimerRegister.VALUE:
                timer.compare = u64(clock.ticks()) + sign_extended(value)
            case TimerRegister.CONTROL:
                timer.control = value & SETTINGS
            case TimerRegister.COMPARE:
                timer.compare = value
        timer.update(held)
    notify(vcpu)


def sign_extended(value: u64) -> u64:
    low = u64(truncate(u32, value))
    return low | SIGN_EXTENSION if low & SIGN != 0 else low
