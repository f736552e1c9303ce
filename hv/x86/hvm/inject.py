"""Exceptions and interrupts on their way into a guest.

At most one event goes in with an entry. What was being delivered when the guest came out goes in again, unless an
exception that was raised meanwhile takes its place or makes a double fault of both; an exception goes before an
interrupt, which waits where it is.
"""

from hv.common.builder.lifecycle import domain_crash
from hv.common.model.vcpu import Vcpu
from hv.lang import u64
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
    together,
)
from hv.x86.hvm.state import HvmVcpu
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
    elif own.in_flight.kind != EventKind.NOTHING:
        virtualisation().inject(vcpu, own.in_flight)
        own.in_flight = NOTHING
