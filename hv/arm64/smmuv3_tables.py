"""Tables that a domain's devices have of their own, in the format that the machine's SMMUs walk: what they map, they do
as the domain's physical map does, leaf for leaf. Under `P2m.lock`.
"""

from hv.arch import direct_address
from hv.arm64.smmuv3_units import units
from hv.common.mm.format import Access, Attributes, Format, Walker
from hv.common.mm.p2m import P2mTables
from hv.common.mm.pagetable import PageTable
from hv.common.mm.types import Gfn, Mfn, Paddr, paddr_of
from hv.lang import Const, Embedded, Errno, Final, Generic, TypeVar, raises, u16, u32, u64, unbounded

F = TypeVar("F", bound=Format)

SPARE_TABLES: Final[u32] = 4  # a root of one height more, and what is kept ready
TEARDOWN_RUNS: Final = 32  # that one step of a teardown looks at


class SmmuWalker(Walker):
    """Of all SMMUs. The tag is the ASID, or the VMID."""

    @staticmethod
    def view(table: Mfn) -> u64:
        return direct_address(paddr_of(table))

    @staticmethod
    def snoops() -> bool:
        return units.snoop

    @staticmethod
    def caches_absent() -> bool:
        return False

    @staticmethod
    def invalidate(root: Mfn, tag: u16, start: u64, frames: u64, order: u32) -> None:
        units.forget(tag, start, frames, order)


class OwnTables(Generic[F]):
    format: Const[F]
    tables: Embedded[P2mTables]
    map: Embedded[PageTable[F, SmmuWalker]]
    torn_to: u64  # nothing is mapped below

    @raises
    def init(self, tag: u16, limit: u32, node: u32) -> None:
        """`limit`: frames that the tables of the physical map may take. ENOMEM."""
        self.tables.limit = limit + SPARE_TABLES
        self.tables.node = node
        self.map.init(self.tables, tag)

    @property
    def root(self) -> Paddr:
        return paddr_of(self.map.root)

    @raises
    @unbounded("each step maps frames")
    def add(self, gfn: Gfn, mfn: Mfn, frames: u64, attributes: Attributes) -> None:
        """ENOMEM, EEXIST, EINVAL: nothing has changed."""
        done: u64 = 0
        try:
            while done < frames:
                change = self.map.map(gfn + done, Mfn(mfn + done), frames - done, attributes)
                change.flush()
                done += change.done
        except Errno:
            self.remove(gfn, done)
            raise

    @raises
    def make_ready(self) -> None:
        """ENOMEM."""
        self.map.make_ready()

    @unbounded("each step goes on by a run")
    def remove(self, gfn: Gfn, frames: u64) -> None:
        """Whole leaves, or behind `make_ready`."""
        done: u64 = 0
        while done < frames:
            done += self._remove_run(gfn + done, frames - done)

    @unbounded("each step goes on by a run")
    def protect(self, gfn: Gfn, frames: u64, access: Access) -> None:
        """Behind `make_ready`."""
        done: u64 = 0
        while done < frames:
            done += self._protect_run(gfn + done, frames - done, access)

    def teardown_step(self) -> bool:
        """When no SMMU walks them any more. True: they are gone."""
        for _ in range(TEARDOWN_RUNS):
            if self.torn_to == self.format.limit():
                self.map.destroy()
                return True
            self.torn_to += self._remove_run(self.torn_to, self.format.limit() - self.torn_to)
        return False

    def _remove_run(self, at: u64, frames: u64) -> u64:
        done: u64 = 0
        try:
            change = self.map.unmap(at, frames)
            change.flush()
            done = change.done
        except Errno:
            done = 0
        assert done != 0, "devices' tables cannot follow the map: no memory was kept ready"
        return done

    def _protect_run(self, at: u64, frames: u64, access: Access) -> u64:
        done: u64 = 0
        try:
            change = self.map.protect(at, frames, access)
            change.flush()
            done = change.done
        except Errno:
            done = 0
        assert done != 0, "devices' tables cannot follow the map: no memory was kept ready"
        return done
