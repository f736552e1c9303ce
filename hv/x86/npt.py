"""Nested page tables (AMD APM 2, 15.25): the format of a guest's physical map on CPUs with SVM.

They are long-mode tables whose every level grants user access, since the nested walk is a user's (15.25.5). Memory
types come from the hypervisor's own PAT. What is mapped can be read: there is no execute-only page.
"""

from hv.common.mm.format import Access, Attributes, Format
from hv.common.mm.types import Mfn, paddr_of
from hv.lang import Final, truncate, u16, u32, u64
from hv.x86.cpuid import features
from hv.x86.longmode import ADDRESS, BLOCK_ADDRESS, LARGE, PRESENT, Leaf, memory_bits, memory_of

TABLE: Final[u64] = 0x027  # present, writable and user below, accessed


class Npt(Format):
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
        assert Access.R in access, "nested tables cannot deny a guest to read what they map"
        bits = Leaf(
            present=True,
            writable=Access.W in access,
            user=True,
            accessed=True,
            dirty=Access.W in access,
            software=u64(attributes.kind),
            execute_never=Access.X not in access,
        )
        return paddr_of(mfn) | bits.raw | memory_bits(attributes.memory, height)

    @staticmethod
    def table(mfn: Mfn) -> u64:
        return paddr_of(mfn) | TABLE
