"""What the tests of memory management work on: tables of each format, a source of tables that runs dry when told to,
and a pool.

`device` is walked by something that neither snoops nor forgets absent entries by itself, as an IOMMU may be.
`breakless` never breaks before it makes: sound where the walker asks for no break, as on x86, and a mistake to be
noticed elsewhere.
"""

from hv.arm64.stage1 import Stage1
from hv.arm64.stage2 import Stage2
from hv.common.mm.flush import TableSource
from hv.common.mm.format import Attributes, Format, Walker
from hv.common.mm.heap import heap
from hv.common.mm.p2m import P2m
from hv.common.mm.pagetable import PageTable
from hv.common.mm.pool import Pool
from hv.common.mm.types import DomId, Mfn, paddr_of
from hv.common.mm.walkers import GuestWalker, HypervisorWalker
from hv.lang import Errno, Final, array, raises, u16, u32, u64
from hv.sim.arch import direct_address
from hv.sim.changes import forget
from hv.sim.tlb import EVERY_CPU
from hv.sim.walker import freed


class Tables(TableSource):
    left: u32  # how many more allocations succeed
    used: u32  # frames

    @raises
    def allocate(self, order: u32) -> Mfn:
        if self.left == 0:
            raise Errno.ENOMEM
        mfn = heap.allocate_zeroed(order)
        self.left -= 1
        self.used += u32(1) << order
        return mfn

    def free(self, mfn: Mfn, order: u32) -> None:
        self.used -= u32(1) << order
        freed(mfn)
        heap.free(mfn, order)


class DeviceWalker(Walker):
    @staticmethod
    def view(table: Mfn) -> u64:
        return direct_address(paddr_of(table))

    @staticmethod
    def snoops() -> bool:
        return False

    @staticmethod
    def caches_absent() -> bool:
        return True

    @staticmethod
    def invalidate(root: Mfn, tag: u16, start: u64, frames: u64, order: u32) -> None:
        forget(EVERY_CPU, True, root, tag, True, 0)


class Breakless(Format):
    @staticmethod
    def top() -> u32:
        return Stage2.top()

    @staticmethod
    def root_order() -> u32:
        return Stage2.root_order()

    @staticmethod
    def limit() -> u64:
        return Stage2.limit()

    @staticmethod
    def has_leaf(height: u32) -> bool:
        return Stage2.has_leaf(height)

    @staticmethod
    def breaks_before_make() -> bool:
        return False

    @staticmethod
    def is_present(entry: u64) -> bool:
        return Stage2.is_present(entry)

    @staticmethod
    def is_leaf(entry: u64, height: u32) -> bool:
        return Stage2.is_leaf(entry, height)

    @staticmethod
    def target(entry: u64, height: u32) -> Mfn:
        return Stage2.target(entry, height)

    @staticmethod
    def attributes(entry: u64, height: u32) -> Attributes:
        return Stage2.attributes(entry, height)

    @staticmethod
    def leaf(mfn: Mfn, height: u32, attributes: Attributes) -> u64:
        return Stage2.leaf(mfn, height, attributes)

    @staticmethod
    def table(mfn: Mfn) -> u64:
        return Stage2.table(mfn)


class Small:
    """Many to a slab."""

    number: u64
    more: array[u32, 5]


class Large:
    """One to a slab of several frames."""

    words: array[u64, 1200]


tables: Final = Tables()
guest: Final = PageTable[Stage2, GuestWalker]()
hypervisor: Final = PageTable[Stage1, HypervisorWalker]()
device: Final = PageTable[Stage2, DeviceWalker]()
breakless: Final = PageTable[Breakless, GuestWalker]()
small: Final = Pool[Small]()
large: Final = Pool[Large]()
p2m: Final = P2m()


@raises
def init_guest(tag: u16) -> None:
    guest.init(tables, tag)


@raises
def init_hypervisor(tag: u16) -> None:
    hypervisor.init(tables, tag)


@raises
def init_device(tag: u16) -> None:
    device.init(tables, tag)


@raises
def init_breakless(tag: u16) -> None:
    breakless.init(tables, tag)


@raises
def init_p2m(domain: u16, tag: u16, table_limit: u32) -> None:
    p2m.init(DomId(domain), tag, table_limit)


@raises
def borrow(order: u32, keep: bool, fail: bool) -> Mfn:
    """A block that the heap's guard holds, until the end unless it is kept. EIO when asked to fail."""
    with heap.allocated(order) as block:
        if keep:
            block.keep()
        if fail:
            raise Errno.EIO
        return block.mfn
