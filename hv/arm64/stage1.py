"""The format of the hypervisor's own stage 1 (EL2, no VHE): 48 bits of virtual address from level 0, 4 KiB granule.

The engine's height 3 is Arm's level 0, where no block may stand; height 0 is level 3. Descriptors: Arm DDI 0487,
"VMSAv8-64 translation table format descriptors". EL2 has one privilege level: bit 6 (AP[1]) is one, bit 7 (AP[2])
makes a page read-only, and every page is readable. No page is both writable and executable.
"""

from hv.arm64.stage2 import ADDRESS, TABLE_OR_PAGE, VALID, Shareability
from hv.common.mm.format import Access, Attributes, Format, Memory
from hv.common.mm.types import Mfn, paddr_of
from hv.lang import Bits, Field, U8Enum, truncate, u16, u32, u64


class MemoryIndex(U8Enum):
    """Which byte of MAIR_EL2 describes the memory (boot/arm64/layout.h)."""

    NORMAL = 0
    DEVICE = 1
    UNCACHED = 2


def index_of(memory: Memory) -> MemoryIndex:
    match memory:
        case Memory.DEVICE:
            return MemoryIndex.DEVICE
        case Memory.UNCACHED:
            return MemoryIndex.UNCACHED
        case _:
            return MemoryIndex.NORMAL


def memory_at(index: MemoryIndex) -> Memory:
    match index:
        case MemoryIndex.DEVICE:
            return Memory.DEVICE
        case MemoryIndex.UNCACHED:
            return Memory.UNCACHED
        case _:
            return Memory.NORMAL


class Stage1Leaf(Bits[u64]):
    """A block or page descriptor."""

    valid = Field(0)
    page = Field(1)
    memory = Field(4, 2, of=MemoryIndex)
    ap1 = Field(6)
    read_only = Field(7)
    shareability = Field(9, 8, of=Shareability)
    accessed = Field(10)
    execute_never = Field(54)
    software = Field(58, 55)


class Stage1(Format):
    @staticmethod
    def top() -> u32:
        return 3

    @staticmethod
    def root_order() -> u32:
        return 0

    @staticmethod
    def limit() -> u64:
        return u64(1) << 36

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
        leaf = Stage1Leaf(entry)
        access = Access.R
        if not leaf.read_only:
            access |= Access.W
        if not leaf.execute_never:
            access |= Access.X
        return Attributes(access=access, memory=memory_at(leaf.memory), kind=truncate(u16, leaf.software))

    @staticmethod
    def leaf(mfn: Mfn, height: u32, attributes: Attributes) -> u64:
        access = attributes.access
        assert Access.R in access, "stage 1 cannot deny the hypervisor to read what it maps"
        assert Access.W not in access or Access.X not in access, "writable and executable"
        bits = Stage1Leaf(
            valid=True,
            page=height == 0,
            memory=index_of(attributes.memory),
            ap1=True,
            read_only=Access.W not in access,
            shareability=Shareability.INNER,
            accessed=True,
            execute_never=Access.X not in access,
            software=u64(attributes.kind),
        )
        return paddr_of(mfn) | bits.raw

    @staticmethod
    def table(mfn: Mfn) -> u64:
        return paddr_of(mfn) | TABLE_OR_PAGE | VALID
