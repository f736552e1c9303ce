"""Translation tables that lie in the image: the hypervisor's own, since the heap's memory is reached through them."""

from hv.arch import physical_address, zero_bytes
from hv.common.lib.bitmap import Bitmap
from hv.common.mm.flush import TableSource
from hv.common.mm.format import ENTRIES, Walker
from hv.common.mm.types import PAGE_SHIFT, PAGE_SIZE, Mfn, Paddr, mfn_of
from hv.common.mm.walkers import forget_hypervisor
from hv.lang import Errno, Final, address_of, aligned, array, raises, u16, u32, u64

TABLES: Final[u32] = 64


@aligned(4096)
class Table:
    entries: array[u64, ENTRIES]


class ImageTables(TableSource):
    """The lock of the address space that they are for protects them."""

    tables: array[Table, TABLES]  # those that are free are clear
    given: Bitmap[1]
    start: Paddr  # of the first

    def init(self) -> None:
        """When it is known where the image lies."""
        self.start = physical_address(address_of(self.tables[0]))

    @raises
    def allocate(self, order: u32) -> Mfn:
        """ENOMEM: what is mapped is more scattered than the tables allow for."""
        number = self.given.first_clear()
        if order != 0 or number >= TABLES:
            raise Errno.ENOMEM
        self.given.set(number)
        return Mfn(mfn_of(self.start) + u64(number))

    def free(self, mfn: Mfn, order: u32) -> None:
        number = u32(mfn - mfn_of(self.start))
        assert self.given.test(number), "a table is freed that was not given"
        zero_bytes(self.view(mfn), PAGE_SIZE)
        self.given.clear(number)

    def view(self, table: Mfn) -> u64:
        return address_of(self.tables[0]) + (table - mfn_of(self.start) << PAGE_SHIFT)


image_tables: Final = ImageTables()


class ImageWalker(Walker):
    """The MMU of each CPU, as it walks these tables."""

    @staticmethod
    def view(table: Mfn) -> u64:
        return image_tables.view(table)

    @staticmethod
    def snoops() -> bool:
        return True

    @staticmethod
    def caches_absent() -> bool:
        return False

    @staticmethod
    def invalidate(root: Mfn, tag: u16, start: u64, frames: u64, order: u32) -> None:
        forget_hypervisor(start, frames, order)
