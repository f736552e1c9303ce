"""vCPUs on arm64: what their registers are when nothing runs them, and moving them in and out of a CPU.

Every exit saves the general registers in `ArchVcpu.context` (boot/arm64/vectors.S). All else stays in the hardware
until another vCPU is loaded.
"""

from hv.arch import cpu_id
from hv.arm64 import virq
from hv.arm64.context import VcpuContext
from hv.arm64.control import VMPIDR_EL2, vmpidr_of
from hv.arm64.controller import gic
from hv.arm64.cpu import (
    complete_stores_here,
    forget_guest_here,
    instruction_barrier,
    translate_guest_read,
    translate_guest_write,
)
from hv.arm64.el1 import PAR_EL1, PSTATE_AT_RESET, El1
from hv.arm64.fpsimd import FpSimd
from hv.arm64.guest_map import GICV2_VCPUS, is_gicv2
from hv.arm64.loaded import loaded_vcpu, set_loaded
from hv.arm64.maintenance import VMID_SHIFT
from hv.arm64.sysreg import TCR_EL1, VTTBR_EL2, WALKS_CLOSED
from hv.arm64.vgic_state import VgicCpu
from hv.arm64.vtimer import Vtimer
from hv.arm64.workarounds import workarounds
from hv.common.kernel.log import RateLimit
from hv.common.kernel.trace import trace0
from hv.common.kernel.trace_events import Event
from hv.common.mm.types import PAGE_SIZE, Gaddr
from hv.common.model.domain import Domain
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import MAX_VCPUS, Vcpu, VcpuMachine
from hv.common.sched.core import leave
from hv.config import CONFIG_ERRATUM_1319367, CONFIG_EXIT_STATS, CONFIG_NR_CPUS
from hv.lang import Embedded, Errno, Extension, Final, Never, array, extern, raises, u16, u32, u64, unbounded

if CONFIG_EXIT_STATS:
    from hv.common.kernel.exit_stats import end_run

GENERAL_REGISTERS: Final = 31
FRAME: Final[u64] = 0xF_FFFF_FFFF_F000  # PAR_EL1: the result
FAILED: Final[u64] = 1


class ArchDomain(Extension[Domain]):
    complaints: RateLimit  # lines about what its vCPUs did
    last: array[u16, CONFIG_NR_CPUS]  # for each CPU one more than the vCPU that it had loaded last; 0: none yet


class ArchVcpu(Extension[Vcpu]):
    context: Embedded[VcpuContext]
    el1: Embedded[El1]
    fpsimd: Embedded[FpSimd]


class Arm64Vcpus(VcpuMachine):
    def hindrance(self) -> str:
        return "" if gic.driver.virtual_version() != 0 else "the interrupt controller has no virtual CPU interfaces"

    def most_vcpus(self) -> u32:
        return GICV2_VCPUS if is_gicv2() else MAX_VCPUS

    def start(self, vcpu: Vcpu, entry: u64, argument: u64) -> None:
        """Source: Arm DEN 0022, 6.4.3 (the state at a CPU's start); Linux Documentation/arch/arm64/booting.rst."""
        arch = ArchVcpu.of(vcpu)
        for i in range(GENERAL_REGISTERS):
            arch.context.x[i] = 0
        arch.context.x[0] = argument
        arch.context.pc = entry
        arch.context.pstate = PSTATE_AT_RESET.raw
        arch.el1.reset()
        arch.fpsimd.reset()
        Vtimer.of(vcpu).reset()
        VgicCpu.of(vcpu).reset_interface()

    def load(self, vcpu: Vcpu) -> None:
        assert loaded_vcpu() is None, "two vCPUs are loaded on one CPU"
        arch = ArchVcpu.of(vcpu)
        if CONFIG_ERRATUM_1319367 and workarounds.closes_walks:
            TCR_EL1.write(WALKS_CLOSED)
            instruction_barrier()
        enter_space(vcpu)
        arch.el1.load()
        arch.fpsimd.load()
        virq.load(vcpu)
        set_loaded(vcpu)

    def save(self, vcpu: Vcpu) -> None:
        assert loaded_vcpu() is vcpu, "a vCPU is saved that is not loaded here"
        arch = ArchVcpu.of(vcpu)
        virq.save(vcpu)
        arch.fpsimd.save()
        arch.el1.save()
        set_loaded(None)

    def has_interrupt(self, vcpu: Vcpu) -> bool:
        return virq.has_interrupt(vcpu)

    @raises
    def translate(self, vcpu: Vcpu, address: u64, write: bool) -> Gaddr:
        kept = PAR_EL1.read()
        if write:
            translate_guest_write(address)
        else:
            translate_guest_read(address)
        instruction_barrier()
        result = PAR_EL1.read()
        PAR_EL1.write(kept)
        if result & FAILED != 0:
            raise Errno.EFAULT
        return Gaddr(result & FRAME | address % PAGE_SIZE)

    def is_narrow(self, vcpu: Vcpu) -> bool:
        """A guest's kernel here has 64 bits."""
        return False

    def enter(self, vcpu: Vcpu) -> Never:
        virq.refresh(vcpu)
        context = way_in()
        trace0(Event.HVM_VMENTRY)
        enter_guest(context)


vcpu_machine: Final = Arm64Vcpus()


@unbounded("a vCPU that is brought up to date needs it again only when something has come meanwhile")
def way_in() -> VcpuContext:
    """The end of every exit: finds the vCPU to enter, which is loaded here, with all its interrupts listed."""
    while True:
        vcpu = leave()
        if not virq.needs_refresh(vcpu):
            if CONFIG_EXIT_STATS:
                end_run()
            return ArchVcpu.of(vcpu).context
        virq.refresh(vcpu)


def enter_space(vcpu: Vcpu) -> None:
    """The guest-physical address space, and the vCPU's name in it.

    Two vCPUs of a domain share its VMID, but each may have translations of its own that it has not told the other
    about: they must not meet in one CPU's TLB.
    """
    domain = vcpu.domain
    VTTBR_EL2.write(DomainMemory.of(domain).p2m.root | u64(domain.vmid) << VMID_SHIFT)
    VMPIDR_EL2.write(vmpidr_of(vcpu.id))
    arch = ArchDomain.of(domain)
    here = cpu_id()
    me = u16(vcpu.id) + 1
    if arch.last[here] != me:
        if arch.last[here] != 0:
            instruction_barrier()
            forget_guest_here()
            complete_stores_here()
        arch.last[here] = me


@extern
def enter_guest(context: VcpuContext) -> Never:
    """boot/arm64/vectors.S; gives up this CPU's stack."""
    ...
