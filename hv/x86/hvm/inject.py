"""Exceptions and interrupts on their way into a guest.

At most one event goes in with an entry. What was being delivered when the guest came out goes in again, unless an
exception that was raised meanwhile takes its place or makes a double fault of both; an exception goes before an NMI,
and that before an interrupt, which waits where it is.
"""

from hv.common.builder.lifecycle import domain_crash
from hv.common.model.vcpu import Vcpu
from hv.lang import Final, rarely, u8, u32, u64
from hv.x86.hvm.event import (
    DOUBLE_FAULT,
    NOTHING,
    PAGE_FAULT,
    PROTECTION,
    UNDEFINED,
    Event,
    EventKind,
    Together,
    exception,
    fault,
    interrupt,
    nmi,
    together,
)
from hv.x86.hvm.lapic_access import follow_task_priority
from hv.x86.hvm.lapic_device import VcpuApic, has_nmi, take_nmi
from hv.x86.hvm.lapic_record import NO_VECTOR
from hv.x86.hvm.state import HvmVcpu
from hv.x86.hvm.upcall import waiting_upcall
from hv.x86.hvm.virtualisation import Register, virtualisation


def raise_event(vcpu: Vcpu, event: Event) -> None:
    """An exception that comes of the instruction at which the guest is, and behind whatever is in flight."""
    own = HvmVcpu.of(vcpu)
    first = own.raised if own.raised.kind != EventKind.NOTHING else own.in_flight
    match together(first, event):
        case Together.SECOND:
            own.raised = event
            if own.in_flight.kind == EventKind.EXCEPTION:
                own.in_flight = NOTHING
        case Together.DOUBLE:
            own.raised = fault(DOUBLE_FAULT, 0)
            own.in_flight = NOTHING
        case Together.TRIPLE:
            triple_fault(vcpu)


def raise_undefined(vcpu: Vcpu) -> None:
    raise_event(vcpu, exception(UNDEFINED))


def raise_protection(vcpu: Vcpu) -> None:
    """#GP(0)."""
    raise_event(vcpu, fault(PROTECTION, 0))


def raise_page_fault(vcpu: Vcpu, address: u64, error: u64) -> None:
    virtualisation().write(vcpu, Register.CR2, address)
    raise_event(vcpu, fault(PAGE_FAULT, error))


def triple_fault(vcpu: Vcpu) -> None:
    domain = vcpu.domain
    ip = virtualisation().read(vcpu, Register.RIP)
    domain_crash(domain, f"d{domain.id} {domain.name} vcpu{vcpu.id}: triple fault at rip {ip:#x}: the guest ends")


def deliver(vcpu: Vcpu) -> None:
    """On the way in: hands the extension what is taken first."""
    own = HvmVcpu.of(vcpu)
    if own.raised.kind != EventKind.NOTHING:
        virtualisation().inject(vcpu, own.raised)
        own.raised = NOTHING
        offer_interrupt(vcpu, False)
    elif own.in_flight.kind != EventKind.NOTHING:
        virtualisation().inject(vcpu, own.in_flight)
        own.in_flight = NOTHING
        offer_interrupt(vcpu, False)
    elif nmi_waits(vcpu):
        inject_nmi(vcpu)
    else:
        offer_interrupt(vcpu, True)


def nmi_waits(vcpu: Vcpu) -> bool:
    """For nothing but its turn."""
    return has_nmi(vcpu) and virtualisation().takes_nmi(vcpu)


@rarely
def inject_nmi(vcpu: Vcpu) -> None:
    take_nmi(vcpu)
    virtualisation().inject(vcpu, nmi())
    offer_interrupt(vcpu, False)


def offer_interrupt(vcpu: Vcpu, free: bool) -> None:
    """The interrupt that waits goes in when nothing else does and the guest takes interrupts; else the guest comes out
    as soon as it would.
    """
    upcall = waiting_upcall(vcpu)
    if upcall != 0:
        offer_upcall(vcpu, free, upcall)
        return
    vector = waiting_vector(vcpu)
    if vector == NO_VECTOR:
        held = VcpuApic.of(vcpu).apic.behind_priority()
        if held == NO_VECTOR:
            virtualisation().close_window(vcpu)
        else:
            virtualisation().watch_priority(vcpu)
    elif free and takes_interrupts(vcpu):
        virtualisation().close_window(vcpu)
        virtualisation().inject(vcpu, interrupt(u8(vector)))
        VcpuApic.of(vcpu).apic.accept(vector)
        HvmVcpu.of(vcpu).accepted = vector
    else:
        virtualisation().open_window(vcpu, u8(vector))


def offer_upcall(vcpu: Vcpu, free: bool, vector: u8) -> None:
    """Before the local APIC's; what waits there is taken when the guest takes interrupts again."""
    if not free or not takes_interrupts(vcpu):
        virtualisation().open_window(vcpu, BEFORE_ALL)
        return
    virtualisation().inject(vcpu, interrupt(vector))
    HvmVcpu.of(vcpu).accepted = NO_VECTOR
    behind = waiting_vector(vcpu)
    if behind == NO_VECTOR:
        virtualisation().close_window(vcpu)
    else:
        virtualisation().open_window(vcpu, u8(behind))


def take_back(vcpu: Vcpu) -> None:
    """The interrupt that last went in has come back: it waits where it did. An upcall is always there to be seen."""
    vector = HvmVcpu.of(vcpu).accepted
    if vector != NO_VECTOR:
        VcpuApic.of(vcpu).apic.take_back(vector)


def waiting_vector(vcpu: Vcpu) -> u32:
    """NO_VECTOR."""
    apic = VcpuApic.of(vcpu).apic
    follow_task_priority(vcpu, apic)
    return apic.next_vector()


def takes_interrupts(vcpu: Vcpu) -> bool:
    flags = virtualisation().read(vcpu, Register.RFLAGS)
    return flags & INTERRUPTS_ON != 0 and not virtualisation().shadow(vcpu)


INTERRUPTS_ON: Final[u64] = 1 << 9  # RFLAGS.IF
BEFORE_ALL: Final[u8] = 0xFF
