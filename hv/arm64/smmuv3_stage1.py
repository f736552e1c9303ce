"""The format of stage 1 as devices' tables have it where an SMMUv3 offers no stage 2: what a guest calls physical is
the device's virtual address. 40 bits of it from level 0, 4 KiB granule (Arm DDI 0487, "VMSAv8-64 translation table
format descriptors"; IHI 0070, 3.4, 5.4).

Every leaf is an address space's own (nG), since invalidation by ASID passes global ones by, and is for unprivileged
accesses too, as devices make them. No device fetches instructions. Stage 1 cannot deny reading.
"""

from hv.arm64.stage1 import MemoryIndex, index_of, memory_at
from hv.arm64.stage2 import ADDRESS, GUEST_ADDRESS_BITS, TABLE_OR_PAGE, VALID, Shareability
from hv.common.mm.format import Access, Attributes, Format
from hv.common.mm.types import Mfn, paddr_of
from hv.lang import Bits, Field, Final, truncate, u16, u32, u64

MAIR: Final[u64] = 0x44_04_FF  # by `MemoryIndex`: normal write-back, device nGnRE, normal non-cacheable


class DeviceLeaf(Bits[u64]):
    """A block or page descriptor."""

    valid = Field(0)
    page = Field(1)
    memory = Field(4, 2, of=MemoryIndex)
    unprivileged = Field(6)
    read_only = Field(7)
    shareability = Field(9, 8, of=Shareability)
    accessed = Field(10)
    not_global = Field(11)
    privileged_execute_never = Field(53)
    execute_never = Field(54)
    software = Field(58, 55)


class DeviceStage1(Format):
    @staticmethod
    def top() -> u32:
        return 3

    @staticmethod
    def root_order() -> u32:
        return 0

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
        leaf = DeviceLeaf(entry)
        access = Access.R if leaf.read_only else Access.R | Access.W
        return Attributes(access=access, memory=memory_at(leaf.memory), kind=truncate(u16, leaf.software))

    @staticmethod
    def leaf(mfn: Mfn, height: u32, attributes: Attributes) -> u64:
        assert Access.R in attributes.access, "stage 1 cannot deny a device to read what it maps"
        bits = DeviceLeaf(
            valid=True,
            page=height == 0,
            memory=index_of(attributes.memory),
            unprivileged=True,
            read_only=Access.W not in attributes.access,
            shareability=Shareability.INNER,
            accessed=True,
            not_global=True,
            privileged_execute_never=True,
            execute_never=True,
            software=u64(attributes.kind),
        )
        return paddr_of(mfn) | bits.raw

    @staticmethod
    def table(mfn: Mfn) -> u64:
        return paddr_of(mfn) | TABLE_OR_PAGE | VALID
