"""A vCPU's interrupts as a whole: what the way into a guest brings up to date, and how devices raise them.

Whoever calls from outside the exit path holds no lock of the scheduler's rank or above.
"""

from hv.arch import cpu_id
from hv.arm64 import vtimer
from hv.arm64.loaded import loaded_vcpu
from hv.arm64.spis import follow
from hv.arm64.vgic_interface import guest_gic
from hv.arm64.vgic_lists import deactivate
from hv.arm64.vgic_state import BANK, FIRST_SHARED, Bank, Notices, Vgic, VgicCpu
from hv.common.kernel.crosscall import call_on
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held
from hv.common.model.domain import Domain
from hv.common.model.vcpu import Vcpu, Vcpus
from hv.lang import trailing_zeros, u16, u32, u64, unbounded


def refresh(vcpu: Vcpu) -> None:
    """Brings the list registers up to date with the banks and the banks with what the guest did. On the CPU that has
    the vCPU loaded.
    """
    vgic = Vgic.of(vcpu.domain)
    notices = Notices()
    with vgic.lock as held:
        VgicCpu.of(vcpu).dirty.store_relaxed(0)
        guest_gic.interface.refresh(held, vgic, vcpu, notices)
    notices.deliver(vcpu.domain)


def needs_refresh(vcpu: Vcpu) -> bool:
    return VgicCpu.of(vcpu).dirty.load_acquire() != 0


def load(vcpu: Vcpu) -> None:
    vgic = Vgic.of(vcpu.domain)
    cpu = VgicCpu.of(vcpu)
    guest_gic.interface.load(cpu)
    cpu.loaded.store(cpu_id() + 1)
    with vgic.lock as held:
        vtimer.load(held, vcpu)
        if vgic.owns_devices:
            follow(held, vgic, vcpu)
    cpu.dirty.store(1)


def save(vcpu: Vcpu) -> None:
    """The scheduler's lock is held, so nobody can be woken now."""
    interface = guest_gic.interface
    vgic = Vgic.of(vcpu.domain)
    cpu = VgicCpu.of(vcpu)
    notices = Notices()
    with vgic.lock as held:
        interface.fold(held, vgic, cpu, u16(vcpu.id), notices)
        vtimer.save(held, vcpu)
        interface.save(cpu)
        vgic.late.add(held, notices)
    cpu.loaded.store(0)


def has_interrupt(vcpu: Vcpu) -> bool:
    """Whether an interrupt would be signalled to the vCPU, which is loaded here, if it let them in."""
    refresh(vcpu)
    return guest_gic.interface.lets_in(VgicCpu.of(vcpu).best)


# What reads or changes a bank's pending or active interrupts


@unbounded("tries a constant number of times")
def settle(vcpu: Vcpu, bank: Bank) -> None:
    """Has what list registers hold of a bank folded back, on whichever CPUs that is. This vCPU is loaded here, and no
    lock is held.

    Others may enter their guests again and list the same interrupts before the caller takes the lock: then the
    guest's own CPUs compete for the interrupt, and no order was promised.
    """
    if bank.listed == 0:
        return
    refold(0)
    tries: u32 = 0
    while bank.listed != 0 and tries < BANK:
        holder = Vcpus.of(vcpu.domain).find(u32(bank.holder[trailing_zeros(bank.listed)]))
        if holder is None:
            return
        where = VgicCpu.of(holder).loaded.load()
        if where != 0:
            call_on(where - 1, refold, 0)
        tries += 1


def refold(unused: u64) -> None:
    """Takes back what the vCPU that is loaded here has listed; it is listed again on the way into the guest."""
    vcpu = loaded_vcpu()
    if vcpu is None:
        return
    notices = Notices()
    vgic = Vgic.of(vcpu.domain)
    with vgic.lock as held:
        VgicCpu.of(vcpu).dirty.store_relaxed(1)
        guest_gic.interface.fold(held, vgic, VgicCpu.of(vcpu), u16(vcpu.id), notices)
        vtimer.resample(held, vcpu)
        vgic.late.add(held, notices)


# What devices do


def set_line(domain: Domain, intid: u32, level: bool) -> None:
    """A shared interrupt's input. An edge-triggered one is latched when its input rises."""
    vgic = Vgic.of(domain)
    notices = Notices()
    with vgic.lock as held:
        set_line_held(held, vgic, intid, level, notices)
    notices.deliver(domain)


def set_line_held(held: Held[Rank.VGIC], vgic: Vgic, intid: u32, level: bool, notices: Notices) -> None:
    assert FIRST_SHARED <= intid < vgic.limit, "a device's interrupt is shared"
    bank = vgic.shared[intid // BANK - 1]
    i = intid % BANK
    bit = u32(1) << i
    if level == (bank.line & bit != 0):
        return
    bank.line ^= bit
    if level:
        bank.latched |= bit & bank.edge
        notices.add(bank.target[i])
    elif bank.listed & bit != 0:
        notices.add(bank.holder[i])  # it may be listed as pending, which it is no more


def end_by_register(vcpu: Vcpu, intid: u64) -> None:
    """What the loaded vCPU wrote to ICC_DIR_EL1, which traps when active interrupts have no list register, or to
    GICC_DIR, which always does.
    """
    interface = guest_gic.interface
    vgic = Vgic.of(vcpu.domain)
    cpu = VgicCpu.of(vcpu)
    me = u16(vcpu.id)
    notices = Notices()
    with vgic.lock as held:
        interface.fold(held, vgic, cpu, me, notices)
        if intid < u64(vgic.limit):
            deactivate(vgic, cpu, me, u32(intid), notices)
        interface.refresh(held, vgic, vcpu, notices)
    notices.deliver(vcpu.domain)
