"""Which memory types firmware gave to physical memory: the MTRRs, which are read and left alone (Intel SDM 3A, 11.11).

They are read on the boot CPU; firmware sets those of all CPUs alike.
"""

from hv.common.kernel.log import debug
from hv.common.mm.types import Paddr
from hv.lang import Final, U8Enum, array, bounded, embedded, u8, u32, u64
from hv.x86.cpu import read_msr
from hv.x86.cpuid import Leaf

CAPABILITIES: Final[u32] = 0xFE
DEFAULT: Final[u32] = 0x2FF
FIRST_BASE: Final[u32] = 0x200
FIXED_64K: Final[u32] = 0x250
FIXED_16K: Final[u32] = 0x258
FIXED_4K: Final[u32] = 0x268
CPUID_MTRR: Final[u32] = 1 << 12  # of leaf 1's edx
ENABLED: Final[u64] = 1 << 11
FIXED_ENABLED: Final[u64] = 1 << 10
HAS_FIXED: Final[u64] = 1 << 8
RANGE_VALID: Final[u64] = 1 << 11
PAGES: Final[u64] = ~u64(0xFFF)
MAX_RANGES: Final = 32
FIXED_REGISTERS: Final = 11
FIXED_END: Final[u64] = 0x10_0000


class MemoryType(U8Enum):
    UNCACHEABLE = 0
    WRITE_COMBINING = 1
    WRITE_THROUGH = 4
    WRITE_PROTECTED = 5
    WRITE_BACK = 6


@embedded
class VariableRange:
    base: u64  # with the type in the lowest byte
    mask: u64  # with RANGE_VALID


class Mtrrs:
    default_type: u64  # IA32_MTRR_DEF_TYPE
    count: u32
    ranges: array[VariableRange, MAX_RANGES]
    fixed: array[u64, FIXED_REGISTERS]
    has_fixed: bool

    def read(self) -> None:
        """From this CPU, which has them."""
        capabilities = read_msr(CAPABILITIES)
        self.default_type = read_msr(DEFAULT)
        self.count = min(u32(capabilities & 0xFF), MAX_RANGES)
        for i in bounded(self.count, MAX_RANGES):
            self.ranges[i].base = read_msr(FIRST_BASE + i * 2)
            self.ranges[i].mask = read_msr(FIRST_BASE + i * 2 + 1)
        self.has_fixed = capabilities & HAS_FIXED != 0
        if self.has_fixed:
            self.fixed[0] = read_msr(FIXED_64K)
            self.fixed[1] = read_msr(FIXED_16K)
            self.fixed[2] = read_msr(FIXED_16K + 1)
            for i in range(8):
                self.fixed[i + 3] = read_msr(FIXED_4K + u32(i))

    def type_of(self, address: Paddr) -> MemoryType:
        """Of a page. Where ranges overlap, uncacheable wins, then write-through (11.11.4.1)."""
        if self.default_type & ENABLED == 0:
            return MemoryType.UNCACHEABLE
        if address < FIXED_END and self.has_fixed and self.default_type & FIXED_ENABLED != 0:
            return named(self._fixed_type(address))
        found = False
        result = MemoryType.WRITE_BACK
        for i in bounded(self.count, MAX_RANGES):
            here = self.ranges[i]
            mask = here.mask & PAGES
            if here.mask & RANGE_VALID == 0 or address & mask != here.base & mask:
                continue
            result = combined(result, named(here.base)) if found else named(here.base)
            found = True
        return result if found else named(self.default_type)

    def _fixed_type(self, address: Paddr) -> u64:
        """Each register holds the types of eight areas (table 11-9)."""
        if address < 0x8_0000:
            return self.fixed[0] >> address // 0x1_0000 * 8
        if address < 0xC_0000:
            area = (address - 0x8_0000) // 0x4000
            return self.fixed[1 + area // 8] >> area % 8 * 8
        area = (address - 0xC_0000) // 0x1000
        return self.fixed[3 + area // 8] >> area % 8 * 8


mtrrs: Final = Mtrrs()


def named(type: u64) -> MemoryType:
    """Of the lowest byte; what no type has is as good as uncacheable."""
    match u8(type & 0xFF):
        case 1:
            return MemoryType.WRITE_COMBINING
        case 4:
            return MemoryType.WRITE_THROUGH
        case 5:
            return MemoryType.WRITE_PROTECTED
        case 6:
            return MemoryType.WRITE_BACK
        case _:
            return MemoryType.UNCACHEABLE


def combined(a: MemoryType, b: MemoryType) -> MemoryType:
    """Of one address in two ranges. Combinations that are not defined are uncacheable."""
    if a == b:
        return a
    if min(u8(a), u8(b)) == u8(MemoryType.WRITE_THROUGH) and max(u8(a), u8(b)) == u8(MemoryType.WRITE_BACK):
        return MemoryType.WRITE_THROUGH
    return MemoryType.UNCACHEABLE


def read_mtrrs() -> None:
    """On the boot CPU."""
    leaf = Leaf()
    leaf.read(1)
    if leaf.edx & CPUID_MTRR == 0:
        return
    mtrrs.read()
    debug(f"MTRRs: {mtrrs.count} ranges, else {named(mtrrs.default_type).name}")
