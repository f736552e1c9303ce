"""How large the last cache is that the CPU knows of (Arm DDI 0487, D19.2: CLIDR_EL1, CSSELR_EL1, CCSIDR_EL1).

A cache that the CPU cannot name, as one that belongs to the whole system, is none of these.
"""

from hv.arm64.cpu import instruction_barrier
from hv.lang import Bits, Field, Final, SystemRegister, u32, u64

CCSIDR_EL1: Final = SystemRegister("ccsidr_el1")
CLIDR_EL1: Final = SystemRegister("clidr_el1")
CSSELR_EL1: Final = SystemRegister("csselr_el1")
ID_AA64MMFR2_EL1: Final = SystemRegister("s3_0_c0_c7_2")

LEVELS: Final[u32] = 7
TYPE_BITS: Final[u32] = 3  # of each level in CLIDR_EL1
TYPE_MASK: Final[u64] = 7
FIRST_OF_DATA: Final[u64] = 2  # types: data, separate, unified
LAST_OF_DATA: Final[u64] = 4
SMALLEST_LINE: Final[u32] = 16  # bytes


class CacheSize(Bits[u64]):
    """CCSIDR_EL1, in its narrow layout and in that of FEAT_CCIDX."""

    line = Field(2, 0)  # binary logarithm of 16 bytes
    sets = Field(27, 13)  # less one
    wide_sets = Field(55, 32)


class Features(Bits[u64]):
    """ID_AA64MMFR2_EL1"""

    ccidx = Field(23, 20)


def last_level(clidr: u64) -> u32:
    """Of the caches that hold data, from 1 on; 0: there are none."""
    last: u32 = 0
    for level in range(LEVELS):
        kind = clidr >> level * TYPE_BITS & TYPE_MASK
        if FIRST_OF_DATA <= kind <= LAST_OF_DATA:
            last = level + 1
    return last


def way_bytes(size: CacheSize, wide: bool) -> u64:
    sets = size.wide_sets if wide else size.sets
    return (u64(sets) + 1) * (u64(SMALLEST_LINE) << size.line)


def last_way() -> u64:
    """Bytes of a way of the last cache; 0: there is none. Before any vCPU is loaded, whose CSSELR_EL1 it would lose."""
    level = last_level(CLIDR_EL1.read())
    if level == 0:
        return 0
    CSSELR_EL1.write(u64(level - 1) << 1)
    instruction_barrier()
    return way_bytes(CacheSize(CCSIDR_EL1.read()), Features(ID_AA64MMFR2_EL1.read()).ccidx != 0)
