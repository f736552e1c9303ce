"""The system registers that the hypervisor reads and writes, and what their bits mean (Arm DDI 0487, D19).

What only a guest's state or its virtual interrupt controller needs is declared with those modules.
"""

from hv.lang import Bits, Field, Final, SystemRegister, u64

CNTFRQ_EL0: Final = SystemRegister("cntfrq_el0")
CNTHCTL_EL2: Final = SystemRegister("cnthctl_el2")
CNTHP_CTL_EL2: Final = SystemRegister("cnthp_ctl_el2")
CNTHP_CVAL_EL2: Final = SystemRegister("cnthp_cval_el2")
CNTPCT_EL0: Final = SystemRegister("cntpct_el0")
CTR_EL0: Final = SystemRegister("ctr_el0")
DAIF: Final = SystemRegister("daif")
DCZID_EL0: Final = SystemRegister("dczid_el0")
ESR_EL2: Final = SystemRegister("esr_el2")
ISR_EL1: Final = SystemRegister("isr_el1")
FAR_EL2: Final = SystemRegister("far_el2")
HCR_EL2: Final = SystemRegister("hcr_el2")
HPFAR_EL2: Final = SystemRegister("hpfar_el2")
ICC_BPR1_EL1: Final = SystemRegister("icc_bpr1_el1")
ICC_CTLR_EL1: Final = SystemRegister("icc_ctlr_el1")
ICC_DIR_EL1: Final = SystemRegister("icc_dir_el1")
ICC_EOIR1_EL1: Final = SystemRegister("icc_eoir1_el1")
ICC_IAR1_EL1: Final = SystemRegister("icc_iar1_el1")
ICC_IGRPEN1_EL1: Final = SystemRegister("icc_igrpen1_el1")
ICC_PMR_EL1: Final = SystemRegister("icc_pmr_el1")
ICC_SGI1R_EL1: Final = SystemRegister("icc_sgi1r_el1")
ICC_SRE_EL2: Final = SystemRegister("icc_sre_el2")
ID_AA64MMFR0_EL1: Final = SystemRegister("id_aa64mmfr0_el1")
ID_AA64PFR0_EL1: Final = SystemRegister("id_aa64pfr0_el1")
MIDR_EL1: Final = SystemRegister("midr_el1")
MPIDR_EL1: Final = SystemRegister("mpidr_el1")
TCR_EL1: Final = SystemRegister("tcr_el1")
TTBR0_EL2: Final = SystemRegister("ttbr0_el2")
VBAR_EL2: Final = SystemRegister("vbar_el2")
VTTBR_EL2: Final = SystemRegister("vttbr_el2")


class Affinity(Bits[u64]):
    """A CPU's place in the machine, as MPIDR_EL1, PSCI and the `reg` of a tree's CPU node have it."""

    aff0 = Field(7, 0)
    aff1 = Field(15, 8)
    aff2 = Field(23, 16)
    aff3 = Field(39, 32)


AFFINITY_MASK: Final[u64] = 0xFF_00FF_FFFF


WALKS_CLOSED: Final[u64] = 1 << 23 | 1 << 7  # of TCR_EL1: EPD1, EPD0


class CacheType(Bits[u64]):
    """CTR_EL0. Line sizes are the binary logarithm of 4-byte words."""

    instruction_line = Field(3, 0)
    data_line = Field(19, 16)
    data_clean_unneeded = Field(28)  # IDC: instruction fetch sees what is in the data cache
    instruction_invalidate_unneeded = Field(29)  # DIC: instruction fetch sees stores


class ZeroBlock(Bits[u64]):
    """DCZID_EL0. The size is the binary logarithm of 4-byte words."""

    size = Field(3, 0)
    prohibited = Field(4)


class InterruptStatus(Bits[u64]):
    """ISR_EL1 (Arm DDI 0487, D19.2.70): what is pending for this CPU."""

    interrupt = Field(7)


class TimerControl(Bits[u64]):
    """CNTHP_CTL_EL2 and its relatives."""

    enable = Field(0)
    masked = Field(1)
    fired = Field(2)
