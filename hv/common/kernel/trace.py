"""Tracing: what happened, and when, in records that xentrace reads and Xen's tools show.

`trace…` records an event on this CPU, when it is among those that are wanted. While tracing is off each costs a load
and a branch, and in a build without it nothing.
"""

from hv.common.kernel.trace_events import Event
from hv.config import CONFIG_TRACE
from hv.lang import truncate, u32, u64

if CONFIG_TRACE:
    from hv.arch import ticks
    from hv.common.kernel.tracer import Tracer


def tracing() -> bool:
    """Whether this CPU records anything: for who has more to do then."""
    if CONFIG_TRACE:
        return Tracer.this().active
    return False


def trace0(event: Event) -> None:
    if CONFIG_TRACE and Tracer.this().active:
        Tracer.this().record(event, 0)


def trace1(event: Event, a: u32) -> None:
    if CONFIG_TRACE and Tracer.this().active:
        Tracer.this().record(event, 1, a)


def trace2(event: Event, a: u32, b: u32) -> None:
    if CONFIG_TRACE and Tracer.this().active:
        Tracer.this().record(event, 2, a, b)


def trace3(event: Event, a: u32, b: u32, c: u32) -> None:
    if CONFIG_TRACE and Tracer.this().active:
        Tracer.this().record(event, 3, a, b, c)


def trace_runstate(domain: u32, vcpu: u32, before: u32, after: u32) -> None:
    """A vCPU goes from one RUNSTATE_* to another."""
    if CONFIG_TRACE and Tracer.this().active:
        variant = before << 8 | after << 4
        Tracer.this().record(Event.SCHED_RUNSTATE_CHANGE, 1, domain << 16 | vcpu, variant=variant)


def trace_switch(from_domain: u32, from_vcpu: u32, domain: u32, vcpu: u32) -> None:
    """This CPU goes from one vCPU to another."""
    if CONFIG_TRACE:
        Tracer.this().running = domain | vcpu << 16
        if Tracer.this().active:
            Tracer.this().record(Event.SCHED_SWITCH, 4, from_domain, from_vcpu, domain, vcpu)


def trace_shutdown(domain: u32, reason: u32) -> None:
    """A domain ends, by what the vCPU that runs here did."""
    if CONFIG_TRACE and Tracer.this().active:
        Tracer.this().record(Event.SCHED_SHUTDOWN, 3, domain, Tracer.this().running >> 16, reason)


def trace_exit(reason: u32, pc: u64) -> None:
    """A guest's code was left."""
    if CONFIG_TRACE and Tracer.this().active:
        Tracer.this().record(Event.HVM_VMEXIT64, 3, reason, truncate(u32, pc), truncate(u32, pc >> 32))


def trace_time() -> u32:
    """Now, for a record to come: the low half of the counter. Of no meaning while tracing is off."""
    if CONFIG_TRACE and Tracer.this().active:
        return truncate(u32, ticks())
    return 0


def trace_irq(irq: u32, since: u32) -> None:
    """An interrupt's handler is done; it began at `since`, a `trace_time`."""
    if CONFIG_TRACE and Tracer.this().active:
        Tracer.this().record(Event.HW_IRQ_HANDLED, 3, irq, since, truncate(u32, ticks()))


def trace_idle() -> None:
    """The CPU goes to sleep."""
    if CONFIG_TRACE and Tracer.this().active:
        Tracer.this().record(Event.PM_IDLE_ENTRY, 3, 1, truncate(u32, ticks()))


def trace_woken() -> None:
    """The CPU has slept."""
    if CONFIG_TRACE and Tracer.this().active:
        Tracer.this().record(Event.PM_IDLE_EXIT, 6, 1, truncate(u32, ticks()))
