"""vCPUs in hardware virtual machines: what their registers are at the start, and moving them in and out of a CPU.

Every exit saves the general registers in `HvmVcpu.context`. Floating point, debug addresses and TSC_AUX stay in the
hardware until another vCPU is loaded; the rest the extension keeps.
"""

from hv.common.mm.types import Gaddr
from hv.common.model.domain import MAX_DOMAINS
from hv.common.model.vcpu import MAX_VCPUS, Vcpu, VcpuMachine
from hv.common.sched.core import leave
from hv.config import CONFIG_EXIT_STATS
from hv.lang import Final, Never, PerCpu, raises, u16, u32, u64
from hv.x86 import tlb
from hv.x86.context import RBX, VcpuContext
from hv.x86.cpu import write_msr
from hv.x86.cpustart import cpu_starts
from hv.x86.hvm import guest_memory
from hv.x86.hvm.event import NOTHING, EventKind
from hv.x86.hvm.inject import deliver, nmi_waits, waiting_vector
from hv.x86.hvm.lapic_device import VcpuApic
from hv.x86.hvm.lapic_record import NO_VECTOR
from hv.x86.hvm.mode import in_long_mode
from hv.x86.hvm.pv_clock import tell_time
from hv.x86.hvm.segment import Segment, SegmentName
from hv.x86.hvm.state import HvmDomain, HvmVcpu
from hv.x86.hvm.upcall import waiting_upcall
from hv.x86.hvm.virtualisation import Register, chosen, virtualisation
from hv.x86.speculation import at_entry, at_switch
from hv.x86.sysreg import DR0, DR1, DR2, DR3, TSC_AUX
from hv.x86.timer import Tsc

if CONFIG_EXIT_STATS:
    from hv.common.kernel.exit_stats import end_run

GENERAL_REGISTERS: Final = 16
FLAT: Final[u32] = 0xFFFF_FFFF
CODE32: Final[u16] = 0xC9B  # readable code, accessed, of 32 bits, in pages
DATA32: Final[u16] = 0xC93
TASK32: Final[u16] = 0x08B  # busy
TABLE: Final[u16] = 0x082  # LDT
TASK_LIMIT: Final[u32] = 0x67

REAL_CODE: Final[u16] = 0x09B
REAL_DATA: Final[u16] = 0x093
REAL_LIMIT: Final[u32] = 0xFFFF
CR0_IN_REAL_MODE: Final[u64] = 0x6000_0010  # caches off, as INIT leaves them
CR0_AT_START: Final[u64] = 0x11  # ET, PE
RFLAGS_AT_START: Final[u64] = 0x2
PAT_AT_RESET: Final[u64] = 0x0007_0406_0007_0406
DR6_AT_RESET: Final[u64] = 0xFFFF_0FF0
DR7_AT_RESET: Final[u64] = 0x400


class LastDomain(PerCpu):
    """Whose vCPU this CPU ran last: one more than its slot; 0: nobody's yet."""

    number: u16


class HvmVcpus(VcpuMachine):
    def hindrance(self) -> str:
        if not chosen.found:
            return "guests need a CPU with AMD SVM"
        return virtualisation().hindrance()

    def most_vcpus(self) -> u32:
        return MAX_VCPUS

    def start(self, vcpu: Vcpu, entry: u64, argument: u64) -> None:
        """As a PVH kernel is entered (Xen, docs/misc/pvh.pandoc): flat 32-bit protected mode without paging, `argument`
        in EBX. By STARTUP in real mode.
        """
        own = HvmVcpu.of(vcpu)
        extension = virtualisation()
        for i in range(GENERAL_REGISTERS):
            own.context.registers[i] = 0
        own.context.registers[RBX] = argument
        own.in_flight = NOTHING
        own.raised = NOTHING
        for i in range(4):
            own.debug_addresses[i] = 0
        own.tsc_aux = 0
        own.fpu.reset()
        extension.reset(vcpu)
        extension.write(vcpu, Register.RIP, entry)
        extension.write(vcpu, Register.RFLAGS, RFLAGS_AT_START)
        extension.write(vcpu, Register.CR0, CR0_AT_START)
        extension.write(vcpu, Register.CR2, 0)
        extension.write(vcpu, Register.CR3, 0)
        extension.write(vcpu, Register.CR4, 0)
        extension.write(vcpu, Register.EFER, 0)
        extension.write(vcpu, Register.PAT, PAT_AT_RESET)
        extension.write(vcpu, Register.DR6, DR6_AT_RESET)
        extension.write(vcpu, Register.DR7, DR7_AT_RESET)
        set_flat(vcpu, SegmentName.CS, CODE32)
        set_flat(vcpu, SegmentName.DS, DATA32)
        set_flat(vcpu, SegmentName.ES, DATA32)
        set_flat(vcpu, SegmentName.SS, DATA32)
        set_flat(vcpu, SegmentName.FS, DATA32)
        set_flat(vcpu, SegmentName.GS, DATA32)
        extension.set_segment(vcpu, SegmentName.TR, Segment(0, TASK32, TASK_LIMIT, 0))
        extension.set_segment(vcpu, SegmentName.LDTR, Segment(0, TABLE, 0, 0))
        extension.set_segment(vcpu, SegmentName.GDTR, Segment(0, 0, 0, 0))
        extension.set_segment(vcpu, SegmentName.IDTR, Segment(0, 0, 0, 0))
        if VcpuApic.of(vcpu).restart():
            begin_in_real_mode(vcpu, entry)

    def load(self, vcpu: Vcpu) -> None:
        own = HvmVcpu.of(vcpu)
        domain = vcpu.domain
        tlb.guest_loaded(domain.vmid)
        if LastDomain.this().number != domain.vmid:
            LastDomain.this().number = domain.vmid
            at_switch()
        own.fpu.load()
        DR0.write(own.debug_addresses[0])
        DR1.write(own.debug_addresses[1])
        DR2.write(own.debug_addresses[2])
        DR3.write(own.debug_addresses[3])
        if HvmDomain.of(domain).cpuid.has_rdtscp:
            write_msr(TSC_AUX, own.tsc_aux)
        virtualisation().load(vcpu)
        virtualisation().set_tsc_offset(vcpu, HvmDomain.of(domain).tsc_offset + Tsc.this().behind)
        tell_time(vcpu)

    def save(self, vcpu: Vcpu) -> None:
        own = HvmVcpu.of(vcpu)
        virtualisation().save(vcpu)
        own.debug_addresses[0] = DR0.read()
        own.debug_addresses[1] = DR1.read()
        own.debug_addresses[2] = DR2.read()
        own.debug_addresses[3] = DR3.read()
        own.fpu.save()
        tlb.guest_loaded(0)

    def has_interrupt(self, vcpu: Vcpu) -> bool:
        own = HvmVcpu.of(vcpu)
        if own.raised.kind != EventKind.NOTHING or own.in_flight.kind != EventKind.NOTHING:
            return True
        return waiting_upcall(vcpu) != 0 or waiting_vector(vcpu) != NO_VECTOR or nmi_waits(vcpu)

    @raises
    def translate(self, vcpu: Vcpu, address: u64, write: bool) -> Gaddr:
        return guest_memory.translate(vcpu, address, write)

    def is_narrow(self, vcpu: Vcpu) -> bool:
        return not in_long_mode(vcpu)

    def enter(self, vcpu: Vcpu) -> Never:
        prepare(vcpu)
        virtualisation().enter(vcpu)


vcpu_machine: Final = HvmVcpus()


@cpu_starts.entry()
def start_extension() -> None:
    if chosen.found and virtualisation().hindrance() == "":
        assert MAX_DOMAINS < tlb.TAGS, "domains' tags are too large"
        virtualisation().start_cpu()


def set_flat(vcpu: Vcpu, name: SegmentName, attributes: u16) -> None:
    virtualisation().set_segment(vcpu, name, Segment(0, attributes, FLAT, 0))


def begin_in_real_mode(vcpu: Vcpu, page: u64) -> None:
    """As STARTUP does (Intel SDM 3A, 9.1.1 and 8.4.4): at the page, with CS there."""
    extension = virtualisation()
    extension.write(vcpu, Register.CR0, CR0_IN_REAL_MODE)
    extension.write(vcpu, Register.RIP, 0)
    for i in range(6):
        extension.set_segment(vcpu, SegmentName(i), Segment(0, REAL_DATA, REAL_LIMIT, 0))
    extension.set_segment(vcpu, SegmentName.CS, Segment(u16(page >> 4), REAL_CODE, REAL_LIMIT, page))
    extension.set_segment(vcpu, SegmentName.GDTR, Segment(0, 0, REAL_LIMIT, 0))
    extension.set_segment(vcpu, SegmentName.IDTR, Segment(0, 0, REAL_LIMIT, 0))


def way_in() -> VcpuContext:
    """The end of every exit: the context of the vCPU to enter, which is loaded here."""
    vcpu = leave()
    prepare(vcpu)
    return HvmVcpu.of(vcpu).context


def prepare(vcpu: Vcpu) -> None:
    deliver(vcpu)
    virtualisation().prepare(vcpu)
    if CONFIG_EXIT_STATS:
        end_run()
    at_entry()
