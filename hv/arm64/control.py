"""What a guest may do by itself and what comes to the hypervisor: the EL2 controls, the same for all guests (Arm DDI
0487, D19.2).

Each CPU is set up once. Of a machine's CPUs the one that boots decides how large a guest-physical address is.
"""

from hv.arm64.controller import gic
from hv.arm64.cpustart import cpu_starts
from hv.arm64.guest_map import affinity_of
from hv.arm64.stage2 import vtcr_for
from hv.arm64.sysreg import (
    CNTHCTL_EL2,
    HCR_EL2,
    ID_AA64MMFR0_EL1,
    ID_AA64PFR0_EL1,
    MIDR_EL1,
    VTTBR_EL2,
)
from hv.arm64.vgic_interface import guest_gic
from hv.arm64.vtimer import CNTV_CTL_EL0
from hv.lang import Bits, Field, Final, SystemRegister, u32, u64

CPTR_EL2: Final = SystemRegister("cptr_el2")
HCRX_EL2: Final = SystemRegister("s3_4_c1_c2_2")
HSTR_EL2: Final = SystemRegister("hstr_el2")
ID_AA64DFR0_EL1: Final = SystemRegister("id_aa64dfr0_el1")
ID_AA64MMFR1_EL1: Final = SystemRegister("id_aa64mmfr1_el1")
MDCR_EL2: Final = SystemRegister("mdcr_el2")
OSLAR_EL1: Final = SystemRegister("oslar_el1")
VDISR_EL2: Final = SystemRegister("s3_4_c12_c1_1")
VMPIDR_EL2: Final = SystemRegister("vmpidr_el2")
VPIDR_EL2: Final = SystemRegister("vpidr_el2")
VTCR_EL2: Final = SystemRegister("vtcr_el2")

HFGRTR_EL2: Final = SystemRegister("s3_4_c1_c1_4")
HFGWTR_EL2: Final = SystemRegister("s3_4_c1_c1_5")
HFGITR_EL2: Final = SystemRegister("s3_4_c1_c1_6")
HDFGRTR_EL2: Final = SystemRegister("s3_4_c3_c1_4")
HDFGWTR_EL2: Final = SystemRegister("s3_4_c3_c1_5")


class HypervisorControl(Bits[u64]):
    """HCR_EL2."""

    stage2 = Field(0)  # VM
    clean_by_set = Field(1)  # SWIO: invalidating by set and way cleans as well
    protected_walk = Field(2)  # PTW: the guest's tables lie in no device
    fiq = Field(3)
    irq = Field(4)
    serror = Field(5)
    force_broadcast = Field(9)  # FB: a vCPU's cache and TLB maintenance reaches the CPUs it ran on
    barrier_share = Field(11, 10)  # BSU: its barriers, too
    trap_wfi = Field(13)
    trap_wfe = Field(14)
    trap_id1 = Field(16)  # TID1: REVIDR, AIDR
    trap_id3 = Field(18)  # TID3: the feature registers
    trap_smc = Field(19)
    trap_implementation = Field(20)  # TIDCP
    trap_auxiliary = Field(21)  # TACR
    aarch64 = Field(31)  # RW: EL1 is AArch64
    trap_lor = Field(35)  # TLOR
    trap_error_records = Field(36)  # TERR
    external_aborts = Field(37)  # TEA: synchronous ones come here as well


INNER: Final[u64] = 1

GUEST_CONTROL: Final = HypervisorControl(
    stage2=True,
    clean_by_set=True,
    protected_walk=True,
    fiq=True,
    irq=True,
    serror=True,
    force_broadcast=True,
    barrier_share=INNER,
    trap_wfi=True,
    trap_wfe=True,
    trap_id1=True,
    trap_id3=True,
    trap_smc=True,
    trap_implementation=True,
    trap_auxiliary=True,
    aarch64=True,
    trap_lor=True,
    trap_error_records=True,
    external_aborts=True,
)
# FP and SIMD do not trap. SVE, SME, trace and activity monitors do: bits 8, 12, 20, 30; the rest is reserved as one.
FEATURE_TRAPS: Final[u64] = 0x33FF | 1 << 20 | 1 << 30


class DebugControl(Bits[u64]):
    """MDCR_EL2."""

    counters = Field(4, 0)  # HPMN: those that EL1 would have; all of them, since they trap anyway
    trap_counter_control = Field(5)  # TPMCR
    trap_counters = Field(6)  # TPM
    trap_debug = Field(9)  # TDA
    trap_os_lock = Field(10)  # TDOSA
    trap_rom_address = Field(11)  # TDRA
    trap_trace_filter = Field(19)  # TTRF


COUNTER_ACCESS: Final[u64] = 1  # CNTHCTL_EL2: EL1PCTEN without EL1PCEN: the physical counter is read, the timer traps
RES1_AFFINITY: Final[u64] = 1 << 31


class Features(Bits[u64]):
    """Fields of ID_AA64MMFR1_EL1 and ID_AA64MMFR0_EL1 that say which controls there are."""

    pa_range = Field(3, 0)
    hcrx = Field(43, 40)
    fine_traps = Field(59, 56)
    counter_virtualization = Field(63, 60)


class Processors(Bits[u64]):
    """ID_AA64PFR0_EL1."""

    ras = Field(31, 28)


class GuestSpace:
    vtcr: u64  # as the boot CPU chose it; 0: not yet


space: Final = GuestSpace()


def vmpidr_of(vcpu: u32) -> u64:
    return RES1_AFFINITY | affinity_of(vcpu)


@cpu_starts.entry()
def start_guest_control() -> None:
    memory = Features(ID_AA64MMFR0_EL1.read())
    if space.vtcr == 0:
        space.vtcr = vtcr_for(u32(memory.pa_range), False).raw
    VTCR_EL2.write(space.vtcr)
    VTTBR_EL2.write(0)
    HCR_EL2.write(GUEST_CONTROL.raw)
    CPTR_EL2.write(FEATURE_TRAPS)
    HSTR_EL2.write(0)
    counters = MDCR_EL2.read() & 0x1F
    MDCR_EL2.write(
        DebugControl(
            counters=counters,
            trap_counter_control=True,
            trap_counters=True,
            trap_debug=True,
            trap_os_lock=True,
            trap_rom_address=True,
            trap_trace_filter=True,
        ).raw
    )
    OSLAR_EL1.write(0)  # after a reset it is locked: then guests, who find it open, would have no debug exceptions
    CNTHCTL_EL2.write(COUNTER_ACCESS)
    CNTV_CTL_EL0.write(0)
    VPIDR_EL2.write(MIDR_EL1.read())
    clear_newer_controls(memory)
    if gic.driver.virtual_version() != 0:
        guest_gic.interface.start_cpu()


def clear_newer_controls(memory: Features) -> None:
    """Controls that only newer CPUs have, and whose reset value is open: nothing that they offer is offered."""
    if Features(ID_AA64MMFR1_EL1.read()).hcrx != 0:
        HCRX_EL2.write(0)
    if memory.fine_traps != 0:
        HFGRTR_EL2.write(0)
        HFGWTR_EL2.write(0)
        HFGITR_EL2.write(0)
        HDFGRTR_EL2.write(0)
        HDFGWTR_EL2.write(0)
    if Processors(ID_AA64PFR0_EL1.read()).ras != 0:
        VDISR_EL2.write(0)
