"""The guest's GICv3, for CPU 0 (Arm IHI 0069)."""

from guests.lib.registers import instruction_barrier, read32, write32
from hv.lang import Final, SystemRegister, truncate, u32, u64

GICD: Final[u64] = 0x0300_1000
GICD_SIZE: Final[u64] = 0x1_0000
GICR: Final[u64] = 0x0302_0000
GICR_STRIDE: Final[u64] = 0x2_0000
TYPER: Final[u64] = GICD + 4
PRIVATE: Final[u64] = 0x1_0000  # a redistributor's second frame

CTLR_ON: Final[u32] = 1 << 4 | 1 << 1  # affinity routing, group 1
GROUP: Final[u64] = 0x080
SET_ENABLE: Final[u64] = 0x100
PRIORITY: Final[u64] = 0x400
ROUTE: Final[u64] = 0x6000

SPECIAL: Final[u32] = 1020  # from here on there was no interrupt

ICC_CTLR_EL1: Final = SystemRegister("icc_ctlr_el1")
ICC_EOIR1_EL1: Final = SystemRegister("icc_eoir1_el1")
ICC_IAR1_EL1: Final = SystemRegister("icc_iar1_el1")
ICC_IGRPEN1_EL1: Final = SystemRegister("icc_igrpen1_el1")
ICC_PMR_EL1: Final = SystemRegister("icc_pmr_el1")
ICC_SGI1R_EL1: Final = SystemRegister("icc_sgi1r_el1")


def start_gic() -> None:
    write32(GICD, CTLR_ON)
    start_interface()


def start_interface() -> None:
    """This CPU's."""
    ICC_PMR_EL1.write(0xF8)
    ICC_CTLR_EL1.write(0)
    ICC_IGRPEN1_EL1.write(1)
    instruction_barrier()


def enable(intid: u32) -> None:
    """To CPU 0, of group 1."""
    frame = GICD if intid >= 32 else GICR + PRIVATE
    word = u64(intid // 32) * 4
    bit = u32(1) << intid % 32
    write32(frame + GROUP + word, read32(frame + GROUP + word) | bit)
    write32(frame + SET_ENABLE + word, bit)


def acknowledge() -> u32:
    return truncate(u32, ICC_IAR1_EL1.read())


def end(intid: u32) -> None:
    ICC_EOIR1_EL1.write(u64(intid))
