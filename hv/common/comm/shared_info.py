"""The page that a domain shares with the hypervisor (shared_info of public/xen.h): vCPUs' information, bits of event
channels, the date, and where the domain wants it in its physical map.

The domain owns the frame; one reference is the extension's, another goes with the mapping. A domain whose kernel runs
in 32-bit mode has the narrow form of the page. `SharedInfo.lock` protects where the page is mapped, and where vCPUs
have their information.
"""

from hv.arch import SHARED_VCPUS, VCPU_INFO_BYTES, direct_address
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import SpinLock
from hv.common.kernel.wallclock import wall_clock
from hv.common.mm.ownership import allocate_for, get_frame, put_frame
from hv.common.mm.p2m import GuestKind, P2m
from hv.common.mm.types import Gfn, Mfn, paddr_of
from hv.common.model.domain import Domain
from hv.common.model.memory import DomainMemory
from hv.lang import Atomic, Errno, Extension, Final, ptr, raises, truncate, u32, u64

WIDE_BITMAP: Final[u64] = 512  # bytes of each of the two: as many bits as a long's size, squared, times 64
NARROW_BITMAP: Final[u64] = 128


class Date:
    """wc_version, wc_sec, wc_nsec, and, in the wide form, wc_sec_hi."""

    version: Atomic[u32]
    seconds: Atomic[u32]
    ns: Atomic[u32]
    seconds_high: Atomic[u32]


class SharedInfo(Extension[Domain]):
    lock: SpinLock[Rank.SHARED_INFO]
    mfn: Mfn
    gfn: Gfn  # where it is mapped
    mapped: bool
    narrow: bool

    @raises
    def init(self, owner: Domain) -> None:
        """ENOMEM."""
        self.mfn = allocate_for(owner.id, 0)
        self.tell_date()

    def teardown(self, owner: Domain) -> None:
        put_frame(self.mfn)

    @property
    def address(self) -> u64:
        return direct_address(paddr_of(self.mfn))

    @property
    def pending(self) -> u64:
        """The address of the bits of event channels that are pending; behind them lie those that are masked."""
        return self.address + u64(SHARED_VCPUS) * VCPU_INFO_BYTES

    @property
    def bitmap_bytes(self) -> u64:
        return NARROW_BITMAP if self.narrow else WIDE_BITMAP

    def take_form(self, narrow: bool) -> None:
        """The kernel has shown in which mode it runs."""
        if self.narrow != narrow:
            self.narrow = narrow
            self.tell_date()

    def tell_date(self) -> None:
        """When time began, as the guest reads it: an odd version says that it is being written."""
        base = wall_clock.base()
        date = ptr[Date](self.pending + 2 * self.bitmap_bytes).ref()
        version = date.version.load_relaxed() | 1
        date.version.store(version)
        date.seconds.store(truncate(u32, base.seconds))
        date.ns.store(u32(base.ns))
        if not self.narrow:
            date.seconds_high.store(u32(base.seconds >> 32))
        date.version.store(version + 1)

    @raises
    def map_at(self, owner: Domain, gfn: Gfn) -> None:
        """Moves it there. What was there before goes. EINVAL: beyond the map. ENOMEM: no memory for tables."""
        with self.lock:
            if self.mapped:
                self.mapped = False
                unmap_own(owner, self.mfn, self.gfn)
            map_own(owner, self.mfn, gfn)
            self.gfn = gfn
            self.mapped = True


@raises
def map_own(owner: Domain, mfn: Mfn, gfn: Gfn) -> None:
    """Maps a frame of the domain's that somebody holds, in place of what was there. EINVAL: beyond the map. ENOMEM."""
    clear_way(owner, gfn)
    get_frame(mfn, owner.id)
    try:
        map_of(owner).add(gfn, mfn, 0, GuestKind.SHARED).flush()
    except Errno:
        put_frame(mfn)
        raise


@raises
def unmap_own(owner: Domain, mfn: Mfn, gfn: Gfn) -> None:
    """Unless something else is there by now. ENOMEM."""
    found = map_of(owner).lookup(gfn)
    if found.kind == GuestKind.SHARED and found.mfn == mfn:
        DomainMemory.of(owner).remove(gfn, 1)


@raises
def clear_way(owner: Domain, gfn: Gfn) -> None:
    """Takes one frame out of the map, if there is one. ENOMEM."""
    if map_of(owner).lookup(gfn).kind != GuestKind.NOTHING:
        DomainMemory.of(owner).remove(gfn, 1)


def map_of(domain: Domain) -> P2m:
    return DomainMemory.of(domain).p2m
