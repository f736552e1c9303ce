"""Memory that domains share: regions of the machine's memory, and where each domain has which.

A region stays as long as the machine runs, and so does what is in it: it is cleared once, before anybody sees it.
Domains that map it come and go, its owner too. The hypervisor keeps a reference on each of its frames, and every
mapping has one more.
"""

from hv.common.mm.types import PAGE_SHIFT, DomId, Gaddr, Gfn, Mfn, gaddr_of
from hv.common.model.memory import FRAMES_PER_TABLE
from hv.lang import Final, Iterator, array, bounded, u32, u64, value

MAX_REGIONS: Final = 16
MAX_SHARES: Final = 4  # of one domain
LONGEST_ID: Final[u64] = 15

HYPERVISOR: Final = DomId(0x7FF1)
"""The owner of a region that no domain owns (DOMID_IO of public/xen.h)."""


class SharedRegion:
    id: str  # lies in the device tree
    first: Mfn  # 0: none yet
    frames: u64
    named: bool  # the device tree says where it is
    owner: DomId
    cleared: u64  # frames

    @property
    def bytes(self) -> u64:
        return self.frames << PAGE_SHIFT


class SharedRegions:
    table: array[SharedRegion, MAX_REGIONS]
    count: u32

    def __iter__(self) -> Iterator[SharedRegion]:
        for i in bounded(self.count, MAX_REGIONS):
            yield self.table[i]

    def find(self, id: str) -> u32:
        """`count`: there is none."""
        for i in bounded(self.count, MAX_REGIONS):
            if self.table[i].id == id:
                return i
        return self.count

    def forget(self, count: u32, owner: DomId) -> None:
        """What a domain that is refused has brought in, behind those that there were before."""
        self.count = count
        for region in self:
            if region.owner == owner:
                region.owner = HYPERVISOR


shared_regions: Final = SharedRegions()


@value
class Share:
    """A region where a domain has it."""

    region: u32
    gfn: Gfn
    owner: bool

    @property
    def start(self) -> Gaddr:
        return gaddr_of(self.gfn)

    @property
    def bytes(self) -> u64:
        return shared_regions.table[self.region].bytes


class Shares:
    """One domain's."""

    table: array[Share, MAX_SHARES]
    count: u32

    def __iter__(self) -> Iterator[Share]:
        for i in bounded(self.count, MAX_SHARES):
            yield self.table[i]

    @property
    def map_tables(self) -> u32:
        """Frames that the tables of these take at most: at each height one table more than they fill."""
        total: u64 = 0
        for share in self:
            lowest = shared_regions.table[share.region].frames // FRAMES_PER_TABLE + 2
            total += lowest + lowest // FRAMES_PER_TABLE + 2
        return u32(total)
