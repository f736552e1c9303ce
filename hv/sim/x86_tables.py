"""Tables in the formats of x86, for tests, which walk them as the manuals say."""

from hv.common.mm.pagetable import PageTable
from hv.common.mm.walkers import GuestWalker, HypervisorWalker
from hv.lang import Final, raises, u16
from hv.sim.fixtures import tables
from hv.x86.longmode import LongMode
from hv.x86.npt import Npt

long_mode: Final = PageTable[LongMode, HypervisorWalker]()
nested: Final = PageTable[Npt, GuestWalker]()


@raises
def init_long_mode(tag: u16) -> None:
    long_mode.init(tables, tag)


@raises
def init_nested(tag: u16) -> None:
    nested.init(tables, tag)
