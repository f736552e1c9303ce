"""Tables in the formats of x86, for tests. `lonely` is the hypervisor's with a mistake: other CPUs are not asked."""

from hv.common.mm.format import Walker
from hv.common.mm.pagetable import PageTable
from hv.common.mm.types import PAGE_SHIFT, Mfn
from hv.common.mm.walkers import GuestWalker, HypervisorWalker
from hv.lang import Final, bounded, raises, u16, u32, u64
from hv.sim.fixtures import tables
from hv.x86.cpu import forget_page
from hv.x86.longmode import LongMode
from hv.x86.npt import Npt

MANY: Final[u64] = 1 << 36  # pages


class LonelyWalker(Walker):
    @staticmethod
    def view(table: Mfn) -> u64:
        return HypervisorWalker.view(table)

    @staticmethod
    def snoops() -> bool:
        return True

    @staticmethod
    def caches_absent() -> bool:
        return False

    @staticmethod
    def invalidate(root: Mfn, tag: u16, start: u64, frames: u64, order: u32) -> None:
        for i in bounded((frames + (u64(1) << order) - 1) >> order, MANY):
            forget_page((start + (i << order)) << PAGE_SHIFT)


long_mode: Final = PageTable[LongMode, HypervisorWalker]()
nested: Final = PageTable[Npt, GuestWalker]()
lonely: Final = PageTable[LongMode, LonelyWalker]()


@raises
def init_long_mode(tag: u16) -> None:
    long_mode.init(tables, tag)


@raises
def init_nested(tag: u16) -> None:
    nested.init(tables, tag)


@raises
def init_lonely(tag: u16) -> None:
    lonely.init(tables, tag)
