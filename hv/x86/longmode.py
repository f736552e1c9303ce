"""The format of the hypervisor's own tables: 4 levels, 4 KiB pages (Intel SDM 3A, 4.5; AMD APM 2, 5.3).

The engine's height 3 is the PML4, where no leaf may stand; height 0 is the page table. All leaves are the supervisor's
and global. Every page is readable, and none is both writable and executable.
"""

from hv.common.mm.format import Access, Attributes, Format, Memory
from hv.common.mm.types import Mfn, paddr_of
from hv.lang import Bits, Field, Final, truncate, u16, u32, u64
from hv.x86.cpuid import features

PRESENT: Final[u64] = 1 << 0
LARGE: Final[u64] = 1 << 7
UNCACHEABLE: Final[u64] = 1 << 4 | 1 << 3  # entry 3 of the PAT
PAGE_PAT: Final[u64] = 1 << 7  # entry 4: write-combining
BLOCK_PAT: Final[u64] = 1 << 12
ADDRESS: Final[u64] = 0x000F_FFFF_FFFF_F000
BLOCK_ADDRESS: Final[u64] = ADDRESS & ~BLOCK_PAT
TABLE: Final[u64] = 0x023  # present, writable below, accessed


class Leaf(Bits[u64]):
    """A page. In a block bit 7 says that it is one, and bit 12 has what stands here in `pat`."""

    present = Field(0)
    writable = Field(1)
    user = Field(2)
    write_through = Field(3)
    cache_disable = Field(4)
    accessed = Field(5)
    dirty = Field(6)
    pat = Field(7)
    everywhere = Field(8)  # global: a change of CR3 leaves it in the TLBs
    software = Field(55, 52)
    execute_never = Field(63)


class LongMode(Format):
    @staticmethod
    def top() -> u32:
        return 3

    @staticmethod
    def root_order() -> u32:
        return 0

    @staticmethod
    def limit() -> u64:
        """Frame numbers have the 36 bits that are translated: those of an address's sign are left out."""
        return u64(1) << 36

    @staticmethod
    def has_leaf(height: u32) -> bool:
        return height <= 1 or (height == 2 and features.pages_1g)

    @staticmethod
    def breaks_before_make() -> bool:
        return False

    @staticmethod
    def is_present(entry: u64) -> bool:
        return entry & PRESENT != 0

    @staticmethod
    def is_leaf(entry: u64, height: u32) -> bool:
        return height == 0 or entry & LARGE != 0

    @staticmethod
    def target(entry: u64, height: u32) -> Mfn:
        block = height != 0 and entry & LARGE != 0
        return Mfn((entry & (BLOCK_ADDRESS if block else ADDRESS)) >> 12)

    @staticmethod
    def attributes(entry: u64, height: u32) -> Attributes:
        leaf = Leaf(entry)
        access = Access.R
        if leaf.writable:
            access |= Access.W
        if not leaf.execute_never:
            access |= Access.X
        return Attributes(access=access, memory=memory_of(entry, height), kind=truncate(u16, leaf.software))

    @staticmethod
    def leaf(mfn: Mfn, height: u32, attributes: Attributes) -> u64:
        access = attributes.access
        assert Access.R in access, "the hypervisor cannot be denied to read what it maps"
        assert Access.W not in access or Access.X not in access, "writable and executable"
        bits = Leaf(
            present=True,
            writable=Access.W in access,
            accessed=True,
            dirty=Access.W in access,
            everywhere=True,
            software=u64(attributes.kind),
            execute_never=Access.X not in access,
        )
        return paddr_of(mfn) | bits.raw | memory_bits(attributes.memory, height)

    @staticmethod
    def table(mfn: Mfn) -> u64:
        return paddr_of(mfn) | TABLE


def memory_bits(memory: Memory, height: u32) -> u64:
    """What a leaf says of the memory's type, by the entries of the PAT (hv/x86/pat.py), with LARGE in a block."""
    if height == 0:
        return UNCACHEABLE if memory == Memory.DEVICE else PAGE_PAT if memory == Memory.UNCACHED else 0
    return LARGE | (UNCACHEABLE if memory == Memory.DEVICE else BLOCK_PAT if memory == Memory.UNCACHED else 0)


def memory_of(entry: u64, height: u32) -> Memory:
    if entry & (PAGE_PAT if height == 0 else BLOCK_PAT) != 0:
        return Memory.UNCACHED
    return Memory.DEVICE if entry & UNCACHEABLE != 0 else Memory.NORMAL
