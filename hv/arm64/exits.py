"""What brings a guest out of its own code: boot/arm64/vectors.S calls these, and enters the vCPU whose context they
return.

Each exit is handled to its end here; then the way in does what else is to be done, perhaps switches to another vCPU,
and brings the virtual interrupts up to date.
"""

from hv.arm64.aborts import data_abort, instruction_abort
from hv.arm64.complain import complain
from hv.arm64.context import VcpuContext
from hv.arm64.inject import inject_undefined
from hv.arm64.interrupts import interrupts
from hv.arm64.smccc import hypervisor_call, secure_call
from hv.arm64.syndrome import INTERRUPT_EXIT, SERROR_EXIT, Syndrome, instruction_length, kind_in_words
from hv.arm64.sysreg import ESR_EL2
from hv.arm64.systrap import system_register
from hv.arm64.vcpu import way_in
from hv.common.kernel.trace import trace0, trace_exit, tracing
from hv.common.kernel.trace_events import IRQ, SERROR, Event
from hv.common.model.vcpu import Vcpu
from hv.common.sched.core import block, current, yield_
from hv.config import CONFIG_EXIT_STATS
from hv.lang import Final, export, rarely, u32, u64

if CONFIG_EXIT_STATS:
    from hv.common.kernel.exit_stats import begin_run

IMMEDIATE: Final[u64] = 0xFFFF
WAITS_FOR_EVENT: Final[u64] = 1  # ISS of WFI and WFE


@export
def guest_sync(context: VcpuContext) -> VcpuContext:
    if CONFIG_EXIT_STATS:
        begin_run(u32(Syndrome(ESR_EL2.read()).kind))
    if tracing():
        return traced_sync(context)
    handle(current(), context, Syndrome(ESR_EL2.read()))
    return way_in()


@export
def guest_irq(context: VcpuContext) -> VcpuContext:
    if CONFIG_EXIT_STATS:
        begin_run(INTERRUPT_EXIT)
    if tracing():
        return traced_irq(context)
    interrupts.take()
    return way_in()


@export
def guest_serror(context: VcpuContext) -> VcpuContext:
    """The machine reports a failed access. Which one is not known, and it may have been nobody's who runs here: it is
    only told.
    """
    if CONFIG_EXIT_STATS:
        begin_run(SERROR_EXIT)
    trace_exit(SERROR, context.pc)
    complain(current(), "SError", "the machine reports a failed access", "the guest goes on")
    return traced_way_in()


@rarely
def traced_sync(context: VcpuContext) -> VcpuContext:
    """One look at what is traced serves the exit and the way in."""
    syndrome = Syndrome(ESR_EL2.read())
    trace_exit(u32(syndrome.kind), context.pc)
    handle(current(), context, syndrome)
    return traced_way_in()


@rarely
def traced_irq(context: VcpuContext) -> VcpuContext:
    trace_exit(IRQ, context.pc)
    interrupts.take()
    return traced_way_in()


def traced_way_in() -> VcpuContext:
    context = way_in()
    trace0(Event.HVM_VMENTRY)
    return context


def handle(vcpu: Vcpu, context: VcpuContext, syndrome: Syndrome) -> None:
    match syndrome.kind:
        case 0x16:  # HVC
            hypervisor_call(vcpu, context, syndrome.iss & IMMEDIATE)
        case 0x24:
            data_abort(vcpu, context, syndrome)
        case 0x18:
            system_register(vcpu, context, syndrome.iss)
        case 0x01:
            wait(context, syndrome)
        case 0x17:  # SMC
            secure_call(vcpu, context, syndrome.iss & IMMEDIATE)
        case 0x20:
            instruction_abort(vcpu, context, syndrome)
        case _:
            refuse(vcpu, context, syndrome)


def wait(context: VcpuContext, syndrome: Syndrome) -> None:
    """WFI ends with an interrupt; WFE may end at any time, and mostly waits for another vCPU, which may need this
    CPU.
    """
    context.advance(instruction_length(syndrome))
    if syndrome.iss & WAITS_FOR_EVENT != 0:
        yield_()
    else:
        block()


def refuse(vcpu: Vcpu, context: VcpuContext, syndrome: Syndrome) -> None:
    """Instructions of features that this guest's CPU does not have: SVE, coprocessors of AArch32, and the like."""
    complain(vcpu, kind_in_words(syndrome), "this CPU has none", "undefined instruction injected")
    inject_undefined(context)
