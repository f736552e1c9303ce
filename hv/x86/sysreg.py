"""Control registers, and the model-specific registers that several modules use (Intel SDM 3A, 2.5, and volume 4)."""

from hv.lang import Bits, Field, Final, SystemRegister, u32, u64

CR0: Final = SystemRegister("cr0")
CR2: Final = SystemRegister("cr2")
CR3: Final = SystemRegister("cr3")
CR4: Final = SystemRegister("cr4")
DR0: Final = SystemRegister("dr0")
DR1: Final = SystemRegister("dr1")
DR2: Final = SystemRegister("dr2")
DR3: Final = SystemRegister("dr3")

APIC_BASE: Final[u32] = 0x1B
PAT: Final[u32] = 0x277
EFER: Final[u32] = 0xC000_0080
TSC_AUX: Final[u32] = 0xC000_0103


class Control4(Bits[u64]):
    """CR4."""

    machine_check = Field(6)  # MCE
    global_pages = Field(7)  # PGE
    no_user_descriptors = Field(11)  # UMIP: user code cannot ask where the descriptor tables lie
    xsave = Field(18)  # OSXSAVE
    no_user_execution = Field(20)  # SMEP
    no_user_access = Field(21)  # SMAP
