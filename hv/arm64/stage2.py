"""The format of stage 2: guest-physical to physical, 4 KiB granule, 40 bits of guest-physical address from level 1.

The root is two tables in a row, as 40 bits at a start level of 1 need (Arm DDI 0487, "Concatenated translation
tables"); it serves a smaller size too, for a CPU with fewer bits of physical address. The engine's height 2 is Arm's
level 1, height 0 level 3. Descriptors: "VMSAv8-64 translation table format descriptors", without FEAT_S2FWB and
FEAT_XNX, so that they mean the same on every core.
"""

from hv.common.mm.format import Access, Attributes, Format, Memory
from hv.common.mm.types import Mfn, paddr_of
from hv.lang import Bits, Field, Final, U8Enum, truncate, u16, u32, u64

GUEST_ADDRESS_BITS: Final[u32] = 40

ADDRESS: Final[u64] = 0xFFFF_FFFF_F000  # bits 47:12 of a descriptor
VALID: Final[u64] = 1
TABLE_OR_PAGE: Final[u64] = 2  # at height 0 a page; above it a table, and a block without


class Stage2Memory(U8Enum):
    """MemAttr, outer and inner the same."""

    DEVICE_NGNRE = 0b0001
    NORMAL_NON_CACHEABLE = 0b0101
    NORMAL_WRITE_BACK = 0b1111


class Shareability(U8Enum):
    NONE = 0
    OUTER = 2
    INNER = 3


class Stage2Leaf(Bits[u64]):
    """A block or page descriptor."""

    valid = Field(0)
    page = Field(1)
    memory = Field(5, 2, of=Stage2Memory)
    readable = Field(6)
    writable = Field(7)
    shareability = Field(9, 8, of=Shareability)
    accessed = Field(10)
    execute_never = Field(54)
    software = Field(58, 55)


class Vtcr(Bits[u64]):
    """VTCR_EL2."""

    t0sz = Field(5, 0)  # 64 - bits of guest-physical address
    start = Field(7, 6)  # 1: at level 1
    inner = Field(9, 8)  # 1: the walker's accesses are write-back, write-allocate
    outer = Field(11, 10)
    shareability = Field(13, 12, of=Shareability)
    granule = Field(15, 14)  # 0: 4 KiB
    physical_size = Field(18, 16)
    vmid16 = Field(19)
    res1 = Field(31)


def vtcr_for(pa_range: u32, wide_vmids: bool) -> Vtcr:
    """For CPUs whose ID_AA64MMFR0_EL1.PARange is at least this one; `wide_vmids`: all have VMIDs of 16 bits."""
    assert pa_range < 16, "PARange has four bits"
    encoded = min(pa_range, 5)  # 52 bits need another granule
    bits = min(physical_bits(encoded), GUEST_ADDRESS_BITS)
    return Vtcr(
        t0sz=64 - u64(bits),
        start=1,
        inner=1,
        outer=1,
        shareability=Shareability.INNER,
        physical_size=u64(encoded),
        vmid16=wide_vmids,
        res1=True,
    )


def physical_bits(pa_range: u32) -> u32:
    """Of a PARange below 6."""
    match pa_range:
        case 0:
            return 32
        case 1:
            return 36
        case 2:
            return 40
        case 3:
            return 42
        case 4:
            return 44
        case _:
            return 48


class Stage2(Format):
    @staticmethod
    def top() -> u32:
        return 2

    @staticmethod
    def root_order() -> u32:
        return 1

    @staticmethod
    def limit() -> u64:
        return u64(1) << GUEST_ADDRESS_BITS - 12

    @staticmethod
    def has_leaf(height: u32) -> bool:
        return height <= 2

    @staticmethod
    def breaks_before_make() -> bool:
        return True

    @staticmethod
    def is_present(entry: u64) -> bool:
        return entry & VALID != 0

    @staticmethod
    def is_leaf(entry: u64, height: u32) -> bool:
        return height == 0 or entry & TABLE_OR_PAGE == 0

    @staticmethod
    def target(entry: u64, height: u32) -> Mfn:
        return Mfn((entry & ADDRESS) >> 12)

    @staticmethod
    def attributes(entry: u64, height: u32) -> Attributes:
        leaf = Stage2Leaf(entry)
        access = Access(0)
        if leaf.readable:
            access |= Access.R
        if leaf.writable:
            access |= Access.W
        if not leaf.execute_never:
            access |= Access.X
        memory = Memory.UNCACHED
        if leaf.memory == Stage2Memory.NORMAL_WRITE_BACK:
            memory = Memory.NORMAL
        elif leaf.memory == Stage2Memory.DEVICE_NGNRE:
            memory = Memory.DEVICE
        return Attributes(access=access, memory=memory, kind=truncate(u16, leaf.software))

    @staticmethod
    def leaf(mfn: Mfn, height: u32, attributes: Attributes) -> u64:
        memory = Stage2Memory.NORMAL_WRITE_BACK
        if attributes.memory == Memory.DEVICE:
            memory = Stage2Memory.DEVICE_NGNRE
        elif attributes.memory == Memory.UNCACHED:
            memory = Stage2Memory.NORMAL_NON_CACHEABLE
        bits = Stage2Leaf(
            valid=True,
            page=height == 0,
            memory=memory,
            readable=Access.R in attributes.access,
            writable=Access.W in attributes.access,
            shareability=Shareability.INNER,
            accessed=True,
            execute_never=Access.X not in attributes.access,
            software=u64(attributes.kind),
        )
        return paddr_of(mfn) | bits.raw

    @staticmethod
    def table(mfn: Mfn) -> u64:
        return paddr_of(mfn) | TABLE_OR_PAGE | VALID
