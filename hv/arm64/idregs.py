"""What a guest reads of its CPU's features: the machine's, without what guests are not given (Arm DDI 0487, D19.2).

`TABLE` says for each register which fields a guest sees as the machine has them (`keep`), and which bits are fixed
(`add`). What is in no row reads as zero: the encoding space op0 3, op1 0, CRn 0, CRm 1 to 7 is reserved for such
registers, so newer features stay hidden until somebody has thought about them.

Hidden: pointer authentication, SVE, SME, memory tagging, RAS, performance monitors, trace, activity monitors, MPAM,
transactions, EL2, and whatever needs a control at EL2 that is off. Breakpoints and watchpoints are the fewest that
the architecture allows.
"""

from hv.arm64.guest_map import is_gicv2
from hv.lang import Callable, Final, SystemRegister, array, u32, u64, value

ID_AA64ISAR0_EL1: Final = SystemRegister("id_aa64isar0_el1")
ID_AA64ISAR1_EL1: Final = SystemRegister("id_aa64isar1_el1")
ID_AA64ISAR2_EL1: Final = SystemRegister("s3_0_c0_c6_2")
ID_AA64MMFR0_EL1: Final = SystemRegister("id_aa64mmfr0_el1")
ID_AA64MMFR1_EL1: Final = SystemRegister("id_aa64mmfr1_el1")
ID_AA64MMFR2_EL1: Final = SystemRegister("s3_0_c0_c7_2")
ID_AA64PFR0_EL1: Final = SystemRegister("id_aa64pfr0_el1")
ID_AA64PFR1_EL1: Final = SystemRegister("id_aa64pfr1_el1")
ID_ISAR0_EL1: Final = SystemRegister("id_isar0_el1")
ID_ISAR1_EL1: Final = SystemRegister("id_isar1_el1")
ID_ISAR2_EL1: Final = SystemRegister("id_isar2_el1")
ID_ISAR3_EL1: Final = SystemRegister("id_isar3_el1")
ID_ISAR4_EL1: Final = SystemRegister("id_isar4_el1")
ID_ISAR5_EL1: Final = SystemRegister("id_isar5_el1")
ID_ISAR6_EL1: Final = SystemRegister("s3_0_c0_c2_7")
ID_MMFR0_EL1: Final = SystemRegister("id_mmfr0_el1")
ID_MMFR1_EL1: Final = SystemRegister("id_mmfr1_el1")
ID_MMFR2_EL1: Final = SystemRegister("id_mmfr2_el1")
ID_MMFR3_EL1: Final = SystemRegister("id_mmfr3_el1")
ID_MMFR4_EL1: Final = SystemRegister("s3_0_c0_c2_6")
ID_MMFR5_EL1: Final = SystemRegister("s3_0_c0_c3_6")
ID_PFR0_EL1: Final = SystemRegister("id_pfr0_el1")
ID_PFR1_EL1: Final = SystemRegister("id_pfr1_el1")
ID_PFR2_EL1: Final = SystemRegister("s3_0_c0_c3_4")
MVFR0_EL1: Final = SystemRegister("mvfr0_el1")
MVFR1_EL1: Final = SystemRegister("mvfr1_el1")
MVFR2_EL1: Final = SystemRegister("mvfr2_el1")

ALL: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF
NIBBLE: Final[u64] = 0xF

# ID_AA64PFR0_EL1
EL0: Final = NIBBLE
FP_AND_SIMD: Final = NIBBLE << 16 | NIBBLE << 20
DIT: Final = NIBBLE << 48
CSV2: Final = NIBBLE << 56
CSV3: Final = NIBBLE << 60
EL1_AARCH64: Final[u64] = 1 << 4
GIC_BY_REGISTERS: Final[u64] = 1 << 24
# ID_AA64PFR1_EL1
BRANCH_TARGETS: Final = NIBBLE
SSBS: Final = NIBBLE << 4
# ID_AA64DFR0_EL1: Armv8.0 debug, two breakpoints and watchpoints, no double lock
DEBUG: Final[u64] = 6 | 1 << 12 | 1 << 20 | NIBBLE << 36
# ID_AA64ISAR0_EL1
TRANSACTIONS: Final = NIBBLE << 24
# ID_AA64ISAR1_EL1
POINTER_AUTHENTICATION: Final = NIBBLE << 4 | NIBBLE << 8 | NIBBLE << 24 | NIBBLE << 28
XS_AND_LS64: Final = NIBBLE << 56 | NIBBLE << 60
# ID_AA64ISAR2_EL1
RECIPROCALS: Final = NIBBLE << 4
CONDITIONAL_BRANCH_HINT: Final = NIBBLE << 20
CLEAR_BRANCH_HISTORY: Final = NIBBLE << 28
# ID_AA64MMFR0_EL1
PA_RANGE: Final = NIBBLE
ASIDS: Final = NIBBLE << 4
STAGE1_GRANULES: Final = NIBBLE << 20 | NIBBLE << 24 | NIBBLE << 28
PA_RANGE_40_BITS: Final[u64] = 2  # no more than stage 2 has
# ID_AA64MMFR1_EL1
HARDWARE_FLAGS: Final = NIBBLE
HIERARCHICAL_PERMISSIONS: Final = NIBBLE << 12
PAN: Final = NIBBLE << 20
TRANSLATION_ORDER: Final = NIBBLE << 36
ALTERNATE_FP: Final = NIBBLE << 44
# ID_AA64MMFR2_EL1
CNP_TO_LSM: Final = NIBBLE | NIBBLE << 4 | NIBBLE << 8
VA_RANGE: Final = NIBBLE << 16
CACHE_INDEX: Final = NIBBLE << 20
SMALL_TABLES_TO_IDS: Final = NIBBLE << 28 | NIBBLE << 32 | NIBBLE << 36
TTL_AND_BBM: Final = NIBBLE << 48 | NIBBLE << 52
E0PD: Final = NIBBLE << 60
# AArch32, for EL0 alone
AARCH32_STATE: Final[u64] = 0x0F00_FFFF  # ID_PFR0_EL1: instruction sets, CSV2, DIT
AARCH32_TIMER: Final[u64] = 0x000F_0000  # ID_PFR1_EL1
AARCH32_GIC: Final[u64] = 1 << 28
AARCH32_DEBUG: Final[u64] = 6  # ID_DFR0_EL1


@value
class IdRegister:
    number: u32  # CRm * 8 + op2
    keep: u64
    add: u64
    read: Callable[[], u64]


def none() -> u64:
    return 0


def pfr0() -> u64:
    return ID_AA64PFR0_EL1.read()


def pfr1() -> u64:
    return ID_AA64PFR1_EL1.read()


def isar0() -> u64:
    return ID_AA64ISAR0_EL1.read()


def isar1() -> u64:
    return ID_AA64ISAR1_EL1.read()


def isar2() -> u64:
    return ID_AA64ISAR2_EL1.read()


def mmfr0() -> u64:
    return ID_AA64MMFR0_EL1.read()


def mmfr1() -> u64:
    return ID_AA64MMFR1_EL1.read()


def mmfr2() -> u64:
    return ID_AA64MMFR2_EL1.read()


def pfr0_32() -> u64:
    return ID_PFR0_EL1.read()


def pfr1_32() -> u64:
    return ID_PFR1_EL1.read()


def pfr2_32() -> u64:
    return ID_PFR2_EL1.read()


def mmfr0_32() -> u64:
    return ID_MMFR0_EL1.read()


def mmfr1_32() -> u64:
    return ID_MMFR1_EL1.read()


def mmfr2_32() -> u64:
    return ID_MMFR2_EL1.read()


def mmfr3_32() -> u64:
    return ID_MMFR3_EL1.read()


def mmfr4_32() -> u64:
    return ID_MMFR4_EL1.read()


def mmfr5_32() -> u64:
    return ID_MMFR5_EL1.read()


def isar0_32() -> u64:
    return ID_ISAR0_EL1.read()


def isar1_32() -> u64:
    return ID_ISAR1_EL1.read()


def isar2_32() -> u64:
    return ID_ISAR2_EL1.read()


def isar3_32() -> u64:
    return ID_ISAR3_EL1.read()


def isar4_32() -> u64:
    return ID_ISAR4_EL1.read()


def isar5_32() -> u64:
    return ID_ISAR5_EL1.read()


def isar6_32() -> u64:
    return ID_ISAR6_EL1.read()


def mvfr0() -> u64:
    return MVFR0_EL1.read()


def mvfr1() -> u64:
    return MVFR1_EL1.read()


def mvfr2() -> u64:
    return MVFR2_EL1.read()


TABLE: Final[array[IdRegister, 29]] = array(
    IdRegister(0x08, AARCH32_STATE, 0, pfr0_32),
    IdRegister(0x09, AARCH32_TIMER, AARCH32_GIC, pfr1_32),
    IdRegister(0x0A, 0, AARCH32_DEBUG, none),
    IdRegister(0x0C, ALL, 0, mmfr0_32),
    IdRegister(0x0D, ALL, 0, mmfr1_32),
    IdRegister(0x0E, ALL, 0, mmfr2_32),
    IdRegister(0x0F, ALL, 0, mmfr3_32),
    IdRegister(0x10, ALL, 0, isar0_32),
    IdRegister(0x11, ALL, 0, isar1_32),
    IdRegister(0x12, ALL, 0, isar2_32),
    IdRegister(0x13, ALL, 0, isar3_32),
    IdRegister(0x14, ALL, 0, isar4_32),
    IdRegister(0x15, ALL, 0, isar5_32),
    IdRegister(0x16, ALL, 0, mmfr4_32),
    IdRegister(0x17, ALL, 0, isar6_32),
    IdRegister(0x18, ALL, 0, mvfr0),
    IdRegister(0x19, ALL, 0, mvfr1),
    IdRegister(0x1A, ALL, 0, mvfr2),
    IdRegister(0x1C, NIBBLE | NIBBLE << 4, 0, pfr2_32),
    IdRegister(0x1E, NIBBLE, 0, mmfr5_32),
    IdRegister(0x20, EL0 | FP_AND_SIMD | DIT | CSV2 | CSV3, EL1_AARCH64 | GIC_BY_REGISTERS, pfr0),
    IdRegister(0x21, BRANCH_TARGETS | SSBS, 0, pfr1),
    IdRegister(0x28, 0, DEBUG, none),
    IdRegister(0x30, ALL & ~TRANSACTIONS, 0, isar0),
    IdRegister(0x31, ALL & ~(POINTER_AUTHENTICATION | XS_AND_LS64), 0, isar1),
    IdRegister(0x32, RECIPROCALS | CONDITIONAL_BRANCH_HINT | CLEAR_BRANCH_HISTORY, 0, isar2),
    IdRegister(0x38, PA_RANGE | ASIDS | STAGE1_GRANULES, 0, mmfr0),
    IdRegister(0x39, HARDWARE_FLAGS | HIERARCHICAL_PERMISSIONS | PAN | TRANSLATION_ORDER | ALTERNATE_FP, 0, mmfr1),
    IdRegister(0x3A, CNP_TO_LSM | VA_RANGE | CACHE_INDEX | SMALL_TABLES_TO_IDS | TTL_AND_BBM | E0PD, 0, mmfr2),
)

REGISTERS: Final = 64


class Visible:
    """What guests read, by number; the same on all CPUs, as the boot CPU has it."""

    values: array[u64, REGISTERS]


visible: Final = Visible()


def find_visible() -> None:
    """Once, at boot."""
    for row in TABLE:
        visible.values[row.number] = limited(row.number, row.read() & row.keep) | row.add & ~hidden(row.number)


def limited(number: u32, kept: u64) -> u64:
    """Fields of which a guest gets no more than a certain value."""
    if number == 0x20 and kept & CSV2 > 1 << 56:
        return kept & ~CSV2 | 1 << 56  # more would offer SCXTNUM_EL0, which traps
    if number == 0x38 and kept & PA_RANGE > PA_RANGE_40_BITS:
        return kept & ~PA_RANGE | PA_RANGE_40_BITS
    return kept


def hidden(number: u32) -> u64:
    """Fixed bits that are not those of every machine."""
    if not is_gicv2():
        return 0
    match number:
        case 0x20:
            return GIC_BY_REGISTERS
        case 0x09:
            return AARCH32_GIC
        case _:
            return 0


def read_id(number: u32) -> u64:
    """Of CRm * 8 + op2, below REGISTERS."""
    return visible.values[number]
