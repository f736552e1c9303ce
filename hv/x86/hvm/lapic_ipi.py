"""What a vCPU sends others by the interrupt command register of its local APIC (Intel SDM 3A, 10.6 and 8.4.4).

INIT switches its target off. A STARTUP that comes behind it switches it on again; it may come while another CPU still
has the target's registers, and then holds as soon as that CPU has let go of them.
"""

from hv.common.model.vcpu import Vcpu, Vcpus
from hv.common.sched.core import vcpu_down, vcpu_up_once_off
from hv.lang import Errno, Final, u8, u32, u64
from hv.x86.hvm.lapic import FIRST_VECTOR, ICR, ICR_HIGH, SEND_ILLEGAL, LocalApic, vcpu_of
from hv.x86.hvm.lapic_device import VcpuApic, send, send_nmi

FIXED: Final[u32] = 0
LOWEST_PRIORITY: Final[u32] = 1
NO_SHORTHAND: Final[u32] = 0
TO_SELF: Final[u32] = 1
LOGICAL: Final[u32] = 1 << 11
ASSERT: Final[u32] = 1 << 14
LEVEL: Final[u32] = 1 << 15
ABOVE_ALL: Final[u32] = 0x100  # a priority that nobody has


def command(sender: Vcpu, apic: LocalApic) -> None:
    """Sends what the register says."""
    command = apic.regs[ICR]
    mode = command >> 8 & 7
    if mode in (FIXED, LOWEST_PRIORITY) and command & 0xFF < FIRST_VECTOR:
        apic.raise_error(SEND_ILLEGAL)
        return
    if mode == LOWEST_PRIORITY:
        target = least_busy(sender, apic)
        if target is not None:
            send(target, u8(command & 0xFF))
        return
    alone = only_target(sender, apic)
    if alone is not None:
        deliver(alone, command)
        return
    for target in Vcpus.of(sender.domain):
        if is_target(sender, target, apic):
            deliver(target, command)


def only_target(sender: Vcpu, apic: LocalApic) -> Vcpu | None:
    """The one that a number addresses, or the sender itself. None: there may be several, or none at all."""
    command = apic.regs[ICR]
    shorthand = command >> 18 & 3
    if shorthand == TO_SELF:
        return sender
    if shorthand != NO_SHORTHAND or command & LOGICAL != 0:
        return None
    target = Vcpus.of(sender.domain).find(vcpu_of(destination_of(apic)))
    return target if target is not None and is_target(sender, target, apic) else None


def destination_of(apic: LocalApic) -> u32:
    return apic.regs[ICR_HIGH] if apic.is_x2apic else apic.regs[ICR_HIGH] >> 24


def is_target(sender: Vcpu, target: Vcpu, apic: LocalApic) -> bool:
    command = apic.regs[ICR]
    its = VcpuApic.of(target).apic
    if not its.is_reachable:
        return False
    match command >> 18 & 3:
        case 1:
            return target is sender
        case 2:
            return True
        case 3:
            return target is not sender
        case _:
            return its.answers(destination_of(apic), command & LOGICAL != 0, apic.is_x2apic)


def listens(target: Vcpu) -> bool:
    """One whose APIC is off by software loses them (10.4.7.2), and so does one that waits for its STARTUP."""
    own = VcpuApic.of(target)
    return own.apic.is_enabled and not own.awaits_startup.load_relaxed()


def least_busy(sender: Vcpu, apic: LocalApic) -> Vcpu | None:
    """Of those that are addressed, the one with the lowest priority, and the first of several (10.6.2.4)."""
    found: Vcpu | None = None
    lowest = ABOVE_ALL
    for target in Vcpus.of(sender.domain):
        if is_target(sender, target, apic) and listens(target):
            priority = VcpuApic.of(target).apic.ppr()
            if priority < lowest:
                found = target
                lowest = priority
    return found


def deliver(target: Vcpu, command: u32) -> None:
    """A fixed interrupt, an NMI, INIT or STARTUP."""
    match command >> 8 & 7:
        case 0:
            if listens(target):
                send(target, u8(command & 0xFF))
        case 4:
            if not VcpuApic.of(target).awaits_startup.load_relaxed():
                send_nmi(target)
        case 5:
            if command & ASSERT != 0 or command & LEVEL == 0:
                vcpu_down(target)
                VcpuApic.of(target).awaits_startup.store(True)
        case 6:
            start(target, command & 0xFF)
        case _:
            pass


def start(target: Vcpu, page: u32) -> None:
    """STARTUP, to a vCPU that waits for it: it begins in real mode, at the page with this number."""
    own = VcpuApic.of(target)
    if not own.awaits_startup.exchange(False):
        return
    own.begins_by_startup = True
    try:
        vcpu_up_once_off(target, u64(page) << 12, 0)
    except Errno:
        own.awaits_startup.store(True)
