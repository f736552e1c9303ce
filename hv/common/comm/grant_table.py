"""A domain's grant table: the frames in which it writes what others may do with its memory (public/grant_table.h).

The hypervisor owns the frames and the guest maps them where it wants (XENMEM_add_to_physmap). The table grows when it
does, up to `MOST_FRAMES`; entries are of version 1. `GrantTable.lock` protects how many frames there are, and where the
guest has them.
"""

from hv.common.comm.shared_info import map_own, unmap_own
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import SpinLock
from hv.common.mm.ownership import allocate_for, put_frame
from hv.common.mm.types import Gfn, Mfn
from hv.common.model.domain import Domain
from hv.lang import Errno, Extension, Final, array, bounded, raises, u32, u64

MOST_FRAMES: Final = 64  # as domains have them that nobody gives more (max_grant_frames of xl.cfg)
FIRST_FRAMES: Final[u32] = 1
NOWHERE: Final = Gfn(0xFFFF_FFFF_FFFF_FFFF)


class GrantTable(Extension[Domain]):
    lock: SpinLock[Rank.GRANT_TABLE]
    frames: array[Mfn, MOST_FRAMES]
    places: array[Gfn, MOST_FRAMES]
    count: u32

    @raises
    def init(self, owner: Domain) -> None:
        """ENOMEM."""
        with self.lock:
            self._grow(owner, FIRST_FRAMES)

    def teardown(self, owner: Domain) -> None:
        for i in bounded(self.count, MOST_FRAMES):
            put_frame(self.frames[i])
        self.count = 0

    @raises
    def grow(self, owner: Domain, count: u32) -> None:
        """There are so many frames at least. EINVAL: more than the domain may have. ENOMEM."""
        if count > MOST_FRAMES:
            raise Errno.EINVAL
        with self.lock:
            self._grow(owner, count)

    @raises
    def map_at(self, owner: Domain, index: u64, gfn: Gfn) -> None:
        """Moves a frame of the table there; the table grows up to it. What was there before goes. EINVAL: more frames
        than the domain may have, or beyond the map. ENOMEM.
        """
        if index >= MOST_FRAMES:
            raise Errno.EINVAL
        with self.lock:
            self._grow(owner, u32(index) + 1)
            if self.places[index] != NOWHERE:
                unmap_own(owner, self.frames[index], self.places[index])
                self.places[index] = NOWHERE
            map_own(owner, self.frames[index], gfn)
            self.places[index] = gfn

    @raises
    def _grow(self, owner: Domain, count: u32) -> None:
        """Under the lock."""
        for i in bounded(self.count, max(count, self.count), MOST_FRAMES):
            self.frames[i] = allocate_for(owner.id, 0)
            self.places[i] = NOWHERE
            self.count = u32(i) + 1
