"""A guest's EL1 system registers: in the hardware while its vCPU is loaded, in `El1` otherwise (Arm DDI 0487, D19.2).

Not here is what the guest cannot change: traps see to ACTLR_EL1, the breakpoints, the performance monitors.
"""

from hv.arm64.cpu import instruction_barrier
from hv.arm64.sysreg import TCR_EL1
from hv.arm64.workarounds import workarounds
from hv.config import CONFIG_ERRATUM_1319367
from hv.lang import Bits, Field, Final, SystemRegister, u64

AFSR0_EL1: Final = SystemRegister("afsr0_el1")
AFSR1_EL1: Final = SystemRegister("afsr1_el1")
AMAIR_EL1: Final = SystemRegister("amair_el1")
CNTKCTL_EL1: Final = SystemRegister("cntkctl_el1")
CONTEXTIDR_EL1: Final = SystemRegister("contextidr_el1")
CPACR_EL1: Final = SystemRegister("cpacr_el1")
CSSELR_EL1: Final = SystemRegister("csselr_el1")
ELR_EL1: Final = SystemRegister("elr_el1")
ESR_EL1: Final = SystemRegister("esr_el1")
FAR_EL1: Final = SystemRegister("far_el1")
MAIR_EL1: Final = SystemRegister("mair_el1")
MDSCR_EL1: Final = SystemRegister("mdscr_el1")
PAR_EL1: Final = SystemRegister("par_el1")
SCTLR_EL1: Final = SystemRegister("sctlr_el1")
SP_EL0: Final = SystemRegister("sp_el0")
SP_EL1: Final = SystemRegister("sp_el1")
SPSR_EL1: Final = SystemRegister("spsr_el1")
TPIDRRO_EL0: Final = SystemRegister("tpidrro_el0")
TPIDR_EL0: Final = SystemRegister("tpidr_el0")
TPIDR_EL1: Final = SystemRegister("tpidr_el1")
TTBR0_EL1: Final = SystemRegister("ttbr0_el1")
TTBR1_EL1: Final = SystemRegister("ttbr1_el1")
VBAR_EL1: Final = SystemRegister("vbar_el1")

SCTLR_AT_RESET: Final[u64] = 0x00C5_0078  # MMU and caches off; as Xen starts its guests


class Pstate(Bits[u64]):
    """SPSR_EL1, SPSR_EL2 of an exception from AArch64."""

    stack_own = Field(0)  # SP of this level, not SP_EL0
    level = Field(3, 2)
    aarch32 = Field(4)
    masks = Field(9, 6)  # D, A, I, F
    branch_type = Field(11, 10)
    speculative_store_safe = Field(12)
    illegal = Field(20)
    single_step = Field(21)
    privileged_access_never = Field(22)
    user_access_override = Field(23)


ALL_MASKED: Final[u64] = 0xF
EL1: Final[u64] = 1
PSTATE_AT_RESET: Final = Pstate(stack_own=True, level=EL1, masks=ALL_MASKED)


class SystemControl(Bits[u64]):
    """SCTLR_EL1."""

    span = Field(23)  # exceptions leave PSTATE.PAN as it is
    dssbs = Field(44)  # PSTATE.SSBS in an exception


class El1:
    afsr0: u64
    afsr1: u64
    amair: u64
    cntkctl: u64
    contextidr: u64
    cpacr: u64
    csselr: u64
    elr: u64
    esr: u64
    far: u64
    mair: u64
    mdscr: u64
    par: u64
    sctlr: u64
    sp_el0: u64
    sp_el1: u64
    spsr: u64
    tcr: u64
    tpidr_el0: u64
    tpidr_el1: u64
    tpidrro_el0: u64
    ttbr0: u64
    ttbr1: u64
    vbar: u64

    def reset(self) -> None:
        """As a CPU is switched on. What the architecture leaves open is zero, so nothing is left of an earlier life."""
        self.afsr0 = 0
        self.afsr1 = 0
        self.amair = 0
        self.cntkctl = 0
        self.contextidr = 0
        self.cpacr = 0
        self.csselr = 0
        self.elr = 0
        self.esr = 0
        self.far = 0
        self.mair = 0
        self.mdscr = 0
        self.par = 0
        self.sctlr = SCTLR_AT_RESET
        self.sp_el0 = 0
        self.sp_el1 = 0
        self.spsr = 0
        self.tcr = 0
        self.tpidr_el0 = 0
        self.tpidr_el1 = 0
        self.tpidrro_el0 = 0
        self.ttbr0 = 0
        self.ttbr1 = 0
        self.vbar = 0

    def save(self) -> None:
        self.afsr0 = AFSR0_EL1.read()
        self.afsr1 = AFSR1_EL1.read()
        self.amair = AMAIR_EL1.read()
        self.cntkctl = CNTKCTL_EL1.read()
        self.contextidr = CONTEXTIDR_EL1.read()
        self.cpacr = CPACR_EL1.read()
        self.csselr = CSSELR_EL1.read()
        self.elr = ELR_EL1.read()
        self.esr = ESR_EL1.read()
        self.far = FAR_EL1.read()
        self.mair = MAIR_EL1.read()
        self.mdscr = MDSCR_EL1.read()
        self.par = PAR_EL1.read()
        self.sctlr = SCTLR_EL1.read()
        self.sp_el0 = SP_EL0.read()
        self.sp_el1 = SP_EL1.read()
        self.spsr = SPSR_EL1.read()
        self.tcr = TCR_EL1.read()
        self.tpidr_el0 = TPIDR_EL0.read()
        self.tpidr_el1 = TPIDR_EL1.read()
        self.tpidrro_el0 = TPIDRRO_EL0.read()
        self.ttbr0 = TTBR0_EL1.read()
        self.ttbr1 = TTBR1_EL1.read()
        self.vbar = VBAR_EL1.read()

    def load(self) -> None:
        AFSR0_EL1.write(self.afsr0)
        AFSR1_EL1.write(self.afsr1)
        AMAIR_EL1.write(self.amair)
        CNTKCTL_EL1.write(self.cntkctl)
        CONTEXTIDR_EL1.write(self.contextidr)
        CPACR_EL1.write(self.cpacr)
        CSSELR_EL1.write(self.csselr)
        ELR_EL1.write(self.elr)
        ESR_EL1.write(self.esr)
        FAR_EL1.write(self.far)
        MAIR_EL1.write(self.mair)
        MDSCR_EL1.write(self.mdscr)
        PAR_EL1.write(self.par)
        SP_EL0.write(self.sp_el0)
        SP_EL1.write(self.sp_el1)
        SPSR_EL1.write(self.spsr)
        TPIDR_EL0.write(self.tpidr_el0)
        TPIDR_EL1.write(self.tpidr_el1)
        TPIDRRO_EL0.write(self.tpidrro_el0)
        TTBR0_EL1.write(self.ttbr0)
        TTBR1_EL1.write(self.ttbr1)
        VBAR_EL1.write(self.vbar)
        SCTLR_EL1.write(self.sctlr)
        if CONFIG_ERRATUM_1319367 and workarounds.closes_walks:
            instruction_barrier()
        TCR_EL1.write(self.tcr)  # from here on the guest's tables are walked
