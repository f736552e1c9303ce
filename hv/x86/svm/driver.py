"""SVM below the line that hv/x86/hvm/virtualisation.py draws (AMD APM 2, chapter 15).

A vCPU's VMCB holds the registers that the hardware switches whether it runs or not, so loading one means little more
than giving it a number in this CPU's TLB.
"""

from hv.arch import cpu_id, direct_address
from hv.common.mm.heap import heap
from hv.common.mm.types import Paddr, mfn_of, paddr_of
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import Vcpu
from hv.lang import Embedded, Extension, Final, Never, extern, ptr, raises, symbol, truncate, u8, u16, u32, u64
from hv.x86 import tlb
from hv.x86.context import RAX, RSP, VcpuContext
from hv.x86.hvm.decode import Code
from hv.x86.hvm.event import ALIGNMENT, DEBUG, MACHINE_CHECK, NOTHING, Event, EventKind
from hv.x86.hvm.segment import Segment, SegmentName
from hv.x86.hvm.state import HvmVcpu
from hv.x86.hvm.virtualisation import Register, Virtualisation, extensions
from hv.x86.svm.asid import Asid
from hv.x86.svm.features import hindrance_of, is_present, svm_features
from hv.x86.svm.host import SvmCpu, start_svm
from hv.x86.svm.instruction import copy_fetched, length_of
from hv.x86.svm.nmi import NmiGate
from hv.x86.svm.offer import PRIORITY_WRITES, come_out_behind, offer
from hv.x86.svm.permissions import ports_at, prepare_maps, registers_at
from hv.x86.svm.vmcb import (
    EVERYTHING,
    NESTED_PAGING,
    SHADOW,
    Clean,
    Injection,
    Intercepts1,
    Intercepts2,
    TlbControl,
    VirtualInterrupt,
    Vmcb,
)

SVME: Final[u64] = 1 << 12  # of EFER: a guest runs only with it
PRIORITY_SHIFT: Final = 4  # of a vector: its class

# A #DB or #AC that raises itself again while it is delivered would keep the CPU for ever.
EXCEPTIONS: Final[u32] = 1 << DEBUG | 1 << ALIGNMENT | 1 << MACHINE_CHECK
INTERCEPTS1: Final = Intercepts1(
    interrupt=True,
    nmi=True,
    smi=True,
    init=True,
    rdpmc=True,
    cpuid=True,
    rsm=True,
    invd=True,
    hlt=True,
    invlpga=True,
    ports=True,
    registers=True,
    task_switch=True,
    ferr_freeze=True,
    shutdown=True,
)
INTERCEPTS2: Final = Intercepts2(
    vmrun=True,
    vmmcall=True,
    vmload=True,
    vmsave=True,
    stgi=True,
    clgi=True,
    skinit=True,
    wbinvd=True,
    monitor=True,
    mwait=True,
    mwait_armed=True,
    xsetbv=True,
    rdpru=True,
)
PAUSES: Final[u16] = 4000  # before a vCPU that spins comes out, where the CPU counts them
PAUSE_WINDOW: Final[u16] = 128  # cycles between two that belong together


class SvmVcpu(Extension[Vcpu]):
    vmcb: Vmcb
    asid: Embedded[Asid]
    offers: bool  # an interrupt, as a virtual one
    nmis: Embedded[NmiGate]


class Svm(Virtualisation):
    def name(self) -> str:
        return "SVM"

    def hindrance(self) -> str:
        return hindrance_of(svm_features.asids, svm_features.has, svm_features.allowed)

    def start_cpu(self) -> None:
        start_svm()

    @raises
    def make(self, vcpu: Vcpu) -> None:
        control = paddr_of(heap.allocate_zeroed(0))
        SvmVcpu.of(vcpu).vmcb = ptr[Vmcb](direct_address(control)).ref()
        HvmVcpu.of(vcpu).context.control = control

    def discard(self, vcpu: Vcpu) -> None:
        heap.free(mfn_of(control_of(vcpu)), 0)

    def reset(self, vcpu: Vcpu) -> None:
        vmcb = SvmVcpu.of(vcpu).vmcb
        SvmVcpu.of(vcpu).offers = False
        SvmVcpu.of(vcpu).nmis.reset()
        vmcb.exceptions = EXCEPTIONS
        vmcb.cr_writes = 0
        vmcb.intercepts1 = INTERCEPTS1
        vmcb.intercepts2 = INTERCEPTS2
        if svm_features.has.pause_filter:
            vmcb.intercepts1.pause = True
            vmcb.pause_count = PAUSES
            vmcb.pause_threshold = PAUSE_WINDOW if svm_features.has.pause_threshold else 0
        vmcb.iopm = ports_at()
        vmcb.msrpm = registers_at()
        vmcb.interrupt = VirtualInterrupt(masking=True)
        vmcb.shadow = 0
        vmcb.exit_event = Injection(0)
        vmcb.injection = Injection(0)
        vmcb.nested = NESTED_PAGING
        vmcb.nested_cr3 = DomainMemory.of(vcpu.domain).p2m.root
        vmcb.clean = Clean(0)
        vmcb.star = 0
        vmcb.lstar = 0
        vmcb.cstar = 0
        vmcb.sfmask = 0
        vmcb.kernel_gs_base = 0
        vmcb.sysenter_cs = 0
        vmcb.sysenter_esp = 0
        vmcb.sysenter_eip = 0
        vmcb.debug_control = 0
        vmcb.cpl = 0

    def load(self, vcpu: Vcpu) -> None:
        """What the CPU has cached of the VMCB may be of an older run here."""
        SvmVcpu.of(vcpu).vmcb.clean = Clean(0)

    def save(self, vcpu: Vcpu) -> None:
        pass

    def read(self, vcpu: Vcpu, register: Register) -> u64:
        vmcb = SvmVcpu.of(vcpu).vmcb
        match register:
            case Register.RIP:
                return vmcb.rip
            case Register.RFLAGS:
                return vmcb.rflags
            case Register.CR0:
                return vmcb.cr0
            case Register.CR2:
                return vmcb.cr2
            case Register.CR3:
                return vmcb.cr3
            case Register.CR4:
                return vmcb.cr4
            case Register.EFER:
                return vmcb.efer & ~SVME
            case Register.PAT:
                return vmcb.pat
            case Register.DR6:
                return vmcb.dr6
            case Register.DR7:
                return vmcb.dr7

    def write(self, vcpu: Vcpu, register: Register, value: u64) -> None:
        vmcb = SvmVcpu.of(vcpu).vmcb
        match register:
            case Register.RIP:
                vmcb.rip = value
            case Register.RFLAGS:
                vmcb.rflags = value
            case Register.CR0:
                vmcb.cr0 = value
                vmcb.clean.control = False
            case Register.CR2:
                vmcb.cr2 = value
                vmcb.clean.cr2 = False
            case Register.CR3:
                vmcb.cr3 = value
                vmcb.clean.control = False
            case Register.CR4:
                vmcb.cr4 = value
                vmcb.clean.control = False
            case Register.EFER:
                vmcb.efer = value | SVME
                vmcb.clean.control = False
            case Register.PAT:
                vmcb.pat = value
                vmcb.clean.nested = False
            case Register.DR6:
                vmcb.dr6 = value
                vmcb.clean.debug = False
            case Register.DR7:
                vmcb.dr7 = value
                vmcb.clean.debug = False

    def segment(self, vcpu: Vcpu, name: SegmentName) -> Segment:
        register = SvmVcpu.of(vcpu).vmcb.segments[u8(name)]
        return Segment(register.selector, register.attributes, register.limit, register.base)

    def set_segment(self, vcpu: Vcpu, name: SegmentName, segment: Segment) -> None:
        vmcb = SvmVcpu.of(vcpu).vmcb
        register = vmcb.segments[u8(name)]
        register.selector = segment.selector
        register.attributes = segment.attributes
        register.limit = segment.limit
        register.base = segment.base
        if name == SegmentName.SS:
            vmcb.cpl = u8(segment.attributes >> 5 & 3)
        vmcb.clean.segments = False
        vmcb.clean.tables = False

    def instruction_length(self, vcpu: Vcpu, plain: u64) -> u64:
        return length_of(SvmVcpu.of(vcpu).vmcb, plain)

    def copy_instruction(self, vcpu: Vcpu, code: Code) -> None:
        copy_fetched(SvmVcpu.of(vcpu).vmcb, code)

    def privilege(self, vcpu: Vcpu) -> u8:
        return SvmVcpu.of(vcpu).vmcb.cpl

    def shadow(self, vcpu: Vcpu) -> bool:
        return SvmVcpu.of(vcpu).vmcb.shadow & SHADOW != 0

    def clear_shadow(self, vcpu: Vcpu) -> None:
        vmcb = SvmVcpu.of(vcpu).vmcb
        vmcb.shadow &= ~SHADOW

    def task_priority(self, vcpu: Vcpu) -> u8:
        return truncate(u8, SvmVcpu.of(vcpu).vmcb.interrupt.tpr)

    def set_task_priority(self, vcpu: Vcpu, priority: u8) -> None:
        vmcb = SvmVcpu.of(vcpu).vmcb
        vmcb.interrupt.tpr = u64(priority)
        vmcb.clean.interrupt = False

    def set_tsc_offset(self, vcpu: Vcpu, offset: u64) -> None:
        vmcb = SvmVcpu.of(vcpu).vmcb
        vmcb.tsc_offset = offset
        vmcb.clean.intercepts = False

    def inject(self, vcpu: Vcpu, event: Event) -> None:
        own = SvmVcpu.of(vcpu)
        if event.kind == EventKind.INTERRUPT and svm_features.repeats_interrupts:
            offer(own.vmcb, event.vector)
            own.offers = True
            return
        own.vmcb.injection = injection_of(event)
        if event.kind == EventKind.NMI:
            own.nmis.close(own.vmcb)

    def takes_nmi(self, vcpu: Vcpu) -> bool:
        return not SvmVcpu.of(vcpu).nmis.closed and not self.shadow(vcpu)

    def open_window(self, vcpu: Vcpu, vector: u8) -> None:
        """A virtual interrupt that is intercepted in the moment in which the guest would take it (15.21.4). Writes to
        CR8 come out meanwhile as well: QEMU 7.2 ends itself when one lets a virtual interrupt in.
        """
        vmcb = SvmVcpu.of(vcpu).vmcb
        if SvmVcpu.of(vcpu).offers:
            come_out_behind(vmcb)
            return
        vmcb.interrupt.pending = True
        vmcb.interrupt.vector = u64(vector)
        vmcb.interrupt.priority = u64(vector >> PRIORITY_SHIFT)
        vmcb.clean.interrupt = False
        vmcb.intercepts1.window = True
        vmcb.cr_writes = PRIORITY_WRITES
        vmcb.clean.intercepts = False

    def watch_priority(self, vcpu: Vcpu) -> None:
        """Not a virtual interrupt, which QEMU lets in already when the task priority is its own."""
        self.close_window(vcpu)
        vmcb = SvmVcpu.of(vcpu).vmcb
        vmcb.cr_writes = PRIORITY_WRITES
        vmcb.clean.intercepts = False

    def close_window(self, vcpu: Vcpu) -> None:
        """Not that of an interrupt on offer."""
        vmcb = SvmVcpu.of(vcpu).vmcb
        if not SvmVcpu.of(vcpu).offers and vmcb.cr_writes != 0:
            vmcb.interrupt.pending = False
            vmcb.clean.interrupt = False
            vmcb.intercepts1.window = False
            vmcb.cr_writes = 0
            vmcb.clean.intercepts = False

    def prepare(self, vcpu: Vcpu) -> None:
        own = SvmVcpu.of(vcpu)
        vmcb = own.vmcb
        context = HvmVcpu.of(vcpu).context
        vmcb.rax = context.registers[RAX]
        vmcb.rsp = context.registers[RSP]
        before = own.asid.number
        vmcb.tlb_control = own.asid.renew(
            SvmCpu.this().asids, cpu_id(), tlb.epoch_of(vcpu.domain.vmid), svm_features.has.flush_by_asid
        )
        if own.asid.number != before:
            vmcb.asid = own.asid.number
            vmcb.clean.asid = False

    def enter(self, vcpu: Vcpu) -> Never:
        enter_svm(HvmVcpu.of(vcpu).context)


svm: Final = Svm()


@extensions.entry(present=is_present)
def get_svm() -> Virtualisation:
    svm_features.find()
    prepare_maps()
    return svm


def control_of(vcpu: Vcpu) -> Paddr:
    return Paddr(HvmVcpu.of(vcpu).context.control)


def injection_of(event: Event) -> Injection:
    if event.kind == EventKind.NOTHING:
        return Injection(0)
    return Injection(
        vector=u64(event.vector),
        kind=u64(u8(event.kind)),
        has_error=event.has_error,
        valid=True,
        error=u64(event.error),
    )


def event_of(injection: Injection) -> Event:
    """Of what the CPU wrote, or we did: SVM has no other kinds."""
    if not injection.valid:
        return NOTHING
    kind = EventKind.NOTHING
    match injection.kind:
        case 0:
            kind = EventKind.INTERRUPT
        case 2:
            kind = EventKind.NMI
        case 3:
            kind = EventKind.EXCEPTION
        case 4:
            kind = EventKind.SOFTWARE
        case _:
            return NOTHING
    return Event(kind, truncate(u8, injection.vector), injection.has_error, truncate(u32, injection.error))


def lost_registers(vmcb: Vmcb) -> bool:
    """Behind a VMRUN that took no guest: whether the hypervisor's registers lie in place of the guest's, as an emulator
    leaves them.
    """
    return vmcb.rip == symbol("vmrun")


def ran(vmcb: Vmcb) -> None:
    """Behind an exit: what this CPU has cached of the VMCB is what stands there."""
    vmcb.tlb_control = TlbControl.NOTHING
    vmcb.clean = Clean(EVERYTHING if svm_features.has.clean_bits else 0)
    vmcb.injection = Injection(0)


@extern
def enter_svm(context: VcpuContext) -> Never:
    """boot/x86/svm.S; gives up this CPU's stack."""
    ...
