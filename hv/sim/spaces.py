"""Address spaces of the hypervisor, for tests: Arm's, a PC's, and one whose other CPUs are not asked, by mistake."""

from hv.arm64.stage1 import Stage1
from hv.common.mm.address_space import AddressSpace
from hv.common.mm.types import Paddr
from hv.common.mm.walkers import HypervisorWalker
from hv.lang import Final, raises, u64
from hv.sim.fixtures import tables
from hv.sim.x86_tables import LonelyWalker
from hv.x86.longmode import LongMode

arm_space: Final = AddressSpace[Stage1, HypervisorWalker]()
pc_space: Final = AddressSpace[LongMode, HypervisorWalker]()
lonely_space: Final = AddressSpace[LongMode, LonelyWalker]()


@raises
def init_arm_space(start: u64, end: u64) -> None:
    arm_space.init(tables, start, end, Paddr(1 << 48))


@raises
def init_pc_space(start: u64, end: u64) -> None:
    pc_space.init(tables, start, end, Paddr(1 << 48))


@raises
def init_lonely_space(start: u64, end: u64) -> None:
    lonely_space.init(tables, start, end, Paddr(1 << 48))
