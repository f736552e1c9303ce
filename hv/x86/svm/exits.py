"""Why a guest came out, by SVM: boot/x86/svm.S calls `svm_exit`, and enters the vCPU whose context it returns.

Source: AMD APM 2, 15.6 to 15.14 and appendix C.
"""

from hv.arch import poll_interrupts
from hv.common.kernel.panic import panic
from hv.common.kernel.trace import trace0, trace_exit, tracing
from hv.common.kernel.trace_events import Event as Traced
from hv.common.mm.format import Access
from hv.common.mm.types import Gaddr, gfn_of
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import Vcpu
from hv.common.sched.core import current, yield_
from hv.config import CONFIG_EXIT_STATS
from hv.lang import Bits, Field, Final, apart, export, rarely, truncate, u16, u32, u64
from hv.x86.context import RAX, RSP, VcpuContext
from hv.x86.hvm import exits, mmio
from hv.x86.hvm.event import ALIGNMENT, DEBUG, EventKind, comes_again, exception, fault
from hv.x86.hvm.inject import raise_event, raise_protection, take_back, triple_fault
from hv.x86.hvm.ports import port_read, port_write
from hv.x86.hvm.priority import play_move, set_priority
from hv.x86.hvm.state import HvmVcpu
from hv.x86.hvm.vcpu import way_in
from hv.x86.svm.driver import SvmVcpu, event_of, lost_registers, ran, svm
from hv.x86.svm.instruction import length_of, register_of, tells_register
from hv.x86.svm.offer import withdraw
from hv.x86.svm.reasons import reason_of
from hv.x86.svm.vmcb import Vmcb

if CONFIG_EXIT_STATS:
    from hv.common.kernel.exit_stats import begin_run

WRITES: Final[u64] = 1  # EXITINFO1 of a register's exit
CACHE_BYTES: Final[u64] = 2  # INVD, WBINVD
PAUSE_BYTES: Final[u64] = 2


class PortExit(Bits[u64]):
    """EXITINFO1 (15.10.2)."""

    reads = Field(0)
    string = Field(2)
    size = Field(6, 4)  # one of three bits: 1, 2, 4 bytes
    port = Field(31, 16)


class NestedFault(Bits[u64]):
    """EXITINFO1 (15.25.6)."""

    present = Field(0)
    write = Field(1)
    fetch = Field(4)
    on_walk = Field(33)  # of the guest's own tables


@export
def svm_exit(context: VcpuContext) -> VcpuContext:
    vcpu = current()
    vmcb = SvmVcpu.of(vcpu).vmcb
    if CONFIG_EXIT_STATS:
        begin_run(reason_of(vmcb.exit_code))
    context.registers[RAX] = vmcb.rax
    context.registers[RSP] = vmcb.rsp
    ran(vmcb)
    if SvmVcpu.of(vcpu).offers:
        after_offer(vcpu, vmcb)
    elif vmcb.exit_event.valid:
        interrupted(vcpu, vmcb)
    if tracing():
        return traced(vcpu, context, vmcb)
    handle(vcpu, context, vmcb)
    return way_in()


@rarely
def traced(vcpu: Vcpu, context: VcpuContext, vmcb: Vmcb) -> VcpuContext:
    trace_exit(truncate(u32, vmcb.exit_code), vmcb.rip)
    handle(vcpu, context, vmcb)
    next = way_in()
    trace0(Traced.HVM_VMENTRY)
    return next


@apart
def after_offer(vcpu: Vcpu, vmcb: Vmcb) -> None:
    """An interrupt that is left is offered again when the guest takes interrupts. QEMU leaves one, too, when the guest
    comes out while it takes it, or has an exception of the interrupt's own gate.
    """
    own = SvmVcpu.of(vcpu)
    own.offers = False
    left = withdraw(vmcb, own.nmis.waits_for_return)
    if left:
        take_back(vcpu)
    if vmcb.exit_event.valid and not (left and vmcb.exit_event.vector == vmcb.interrupt.vector):
        interrupted(vcpu, vmcb)


@rarely
def interrupted(vcpu: Vcpu, vmcb: Vmcb) -> None:
    """The guest came out while it took an event (EXITINTINFO), which it takes again: an interrupt when it takes
    interrupts, since an exception may come first.
    """
    event = event_of(vmcb.exit_event)
    if event.kind == EventKind.INTERRUPT:
        take_back(vcpu)
    elif comes_again(event):
        HvmVcpu.of(vcpu).in_flight = event


def handle(vcpu: Vcpu, context: VcpuContext, vmcb: Vmcb) -> None:
    match truncate(u32, vmcb.exit_code):
        case 0x60:  # an interrupt of the machine's: it is pending
            poll_interrupts()
        case 0x81:
            exits.hypercall(vcpu, context)
        case 0x78:
            exits.halt(vcpu)
        case 0x7C:
            if vmcb.exit_info1 & WRITES != 0:
                exits.write_register(vcpu, context)
            else:
                exits.read_register(vcpu, context)
        case 0x72:
            exits.cpuid(vcpu)
        case 0x7B:
            port(vcpu, context, vmcb, PortExit(vmcb.exit_info1))
        case 0x400:
            nested_fault(vcpu, context, vmcb, NestedFault(vmcb.exit_info1))
        case 0x64:
            svm.close_window(vcpu)
        case 0x74:  # IRET: what waits behind an interrupt gets its window on the way in
            SvmVcpu.of(vcpu).nmis.step(vmcb)
        case 0x77:
            exits.skip(vcpu, PAUSE_BYTES)
            yield_()
        case 0x61 | 0x62 | 0x63:  # NMI and SMI have come since, INIT is not for us
            pass
        case _:
            handle_rare(vcpu, context, vmcb)


@rarely
def handle_rare(vcpu: Vcpu, context: VcpuContext, vmcb: Vmcb) -> None:
    match truncate(u32, vmcb.exit_code):
        case 0x18:
            if tells_register(vmcb):
                set_priority(vcpu, context, register_of(vmcb), length_of(vmcb, 0))
            else:
                play_move(vcpu, context)
        case 0x8D:
            exits.enable_components(vcpu, context)
        case 0x41:
            if not SvmVcpu.of(vcpu).nmis.open(vmcb):
                raise_event(vcpu, exception(DEBUG))
        case 0x51:
            raise_event(vcpu, fault(ALIGNMENT, vmcb.exit_info1))
        case 0x52:
            panic("machine check while a guest ran")
        case 0x6F:  # RDPMC: there are no counters
            raise_protection(vcpu)
        case 0x76 | 0x89:  # INVD, WBINVD: the caches of a guest without devices are coherent
            exits.skip(vcpu, CACHE_BYTES)
        case 0x7F:
            triple_fault(vcpu)
        case 0x7D:
            exits.end(vcpu, "task switch, which is not offered, to", vmcb.exit_info1)
        case 0xFFFF_FFFF:
            invalid(vcpu, vmcb)
        case _:
            exits.refuse(vcpu, "an instruction")


@apart
def port(vcpu: Vcpu, context: VcpuContext, vmcb: Vmcb, access: PortExit) -> None:
    """EXITINFO2 says where the next instruction begins."""
    if access.string:
        raise_protection(vcpu)
        return
    if access.reads:
        port_read(vcpu, context, u16(access.port), u32(access.size))
    else:
        port_write(vcpu, context, u16(access.port), u32(access.size))
    vmcb.rip = vmcb.exit_info2
    vmcb.shadow = 0


@apart
def nested_fault(vcpu: Vcpu, context: VcpuContext, vmcb: Vmcb, access: NestedFault) -> None:
    """An access that the map refused although it now allows it came in the moment of a change: it is done again. What
    the CPU reads and writes to take an event is not the instruction's, which alone can be played.
    """
    address = vmcb.exit_info2
    if mmio.is_played(address) and not access.on_walk and not access.fetch:
        if vmcb.exit_event.valid:
            exits.end(vcpu, "an exception or interrupt whose tables or stack are registers, at", address)
        else:
            mmio.perform(vcpu, context, address)
        return
    wanted = Access.X if access.fetch else Access.W if access.write else Access.R
    if wanted in DomainMemory.of(vcpu.domain).p2m.lookup(gfn_of(Gaddr(address))).access:
        return
    exits.end(vcpu, "access to an address where nothing is:", address)


def invalid(vcpu: Vcpu, vmcb: Vmcb) -> None:
    """VMRUN takes no guest in this state (15.5.1)."""
    if lost_registers(vmcb):
        vmcb.rip = 0
        exits.end(vcpu, "its registers are in a state that no CPU can be in, and lost; exit", vmcb.exit_code)
    else:
        exits.end(vcpu, "its registers are in a state that no CPU can be in, CR0", vmcb.cr0)
