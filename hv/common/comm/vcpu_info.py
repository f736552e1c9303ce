"""A vCPU's part of what its domain shares with the hypervisor: vcpu_info of public/xen.h.

It lies in the shared page, or where the guest has registered it; then its frame is held until the vCPU goes. One whose
number is too large for the shared page has none before: it hears of no event.
"""

from hv.arch import SHARED_VCPUS, VCPU_INFO_BYTES, copy_bytes, direct_address
from hv.common.comm.shared_info import SharedInfo, map_of
from hv.common.comm.upcall import delivery
from hv.common.mm.format import Access
from hv.common.mm.ownership import get_frame, put_frame
from hv.common.mm.p2m import GuestKind
from hv.common.mm.types import PAGE_SIZE, Gfn, Mfn, paddr_of
from hv.common.model.vcpu import Vcpu
from hv.lang import Atomic, Callable, Errno, Extension, Final, Registry, ptr, raises, u8, u16, u32, u64, value

EVERY_NARROW: Final[u32] = 0xFFFF_FFFF
EVERY_WIDE: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF
ALIGNMENT: Final[u64] = 8


class Head:
    """Its first 16 bytes, in both forms."""

    upcall_pending: Atomic[u8]
    upcall_mask: u8
    padding: u16
    narrow_selector: Atomic[u32]  # evtchn_pending_sel of a narrow domain
    wide_selector: Atomic[u64]


class VcpuInfo(Extension[Vcpu]):
    at: Atomic[u64]  # where it is mapped; 0: there is none
    mfn: Mfn  # the frame that is held
    registered: bool

    def init(self, owner: Vcpu) -> None:
        if owner.id < SHARED_VCPUS:
            self.at.store(SharedInfo.of(owner.domain).address + u64(owner.id) * VCPU_INFO_BYTES)

    def teardown(self, owner: Vcpu) -> None:
        if self.registered:
            put_frame(self.mfn)

    @raises
    def register(self, owner: Vcpu, gfn: Gfn, offset: u64) -> None:
        """Moves it into the guest's memory, once. The guest is told that everything is pending, so nothing that came
        meanwhile is lost. ENXIO: it would not lie in the page, or not aligned. EINVAL: it was registered before, or
        the domain has no memory there.
        """
        if offset > PAGE_SIZE - VCPU_INFO_BYTES or offset % ALIGNMENT != 0:
            raise Errno.ENXIO
        with SharedInfo.of(owner.domain).lock:
            if self.registered:
                raise Errno.EINVAL
            self.mfn = hold_writable(owner, gfn)
            self.registered = True
            to = direct_address(paddr_of(self.mfn)) + offset
            before = self.at.load()
            if before != 0:
                copy_bytes(to, before, VCPU_INFO_BYTES)
            self.at.store(to)
        self.select_all(SharedInfo.of(owner.domain).narrow)
        for place in places:
            place.moved(owner)
        delivery.upcalls.notify(owner)

    @property
    def address(self) -> u64:
        """Where it is mapped; 0: there is none."""
        return self.at.load()

    @property
    def upcall_pending(self) -> bool:
        at = self.at.load_relaxed()
        return at != 0 and ptr[Head](at).ref().upcall_pending.load_relaxed() != 0

    def select(self, word: u32, narrow: bool) -> bool:
        """A word of the pending bits has become interesting. True: the vCPU has to be told."""
        at = self.at.load()
        if at == 0:
            return False
        head = ptr[Head](at).ref()
        if narrow:
            bit = u32(1) << word
            if head.narrow_selector.or_(bit) & bit != 0:
                return False
        else:
            wide = u64(1) << word
            if head.wide_selector.or_(wide) & wide != 0:
                return False
        return head.upcall_pending.exchange(1) == 0

    def select_all(self, narrow: bool) -> None:
        at = self.at.load()
        if at == 0:
            return
        head = ptr[Head](at).ref()
        if narrow:
            head.narrow_selector.store(EVERY_NARROW)
        else:
            head.wide_selector.store(EVERY_WIDE)
        head.upcall_pending.store(1)

    def mark(self) -> bool:
        """Something is pending that no selector shows. True: the vCPU has to be told."""
        at = self.at.load()
        return at != 0 and ptr[Head](at).ref().upcall_pending.exchange(1) == 0


@value
class Place:
    """Who writes something into a vCPU's information is told that it lies elsewhere now."""

    moved: Callable[[Vcpu], None]


places: Final = Registry[Place]()


@raises
def hold_writable(vcpu: Vcpu, gfn: Gfn) -> Mfn:
    """A reference on a frame of the vCPU's domain. EINVAL: it has no memory of its own there that it may write."""
    p2m = map_of(vcpu.domain)
    found = p2m.lookup(gfn)
    if found.kind not in (GuestKind.RAM, GuestKind.SHARED) or Access.W not in found.access:
        raise Errno.EINVAL
    try:
        get_frame(found.mfn, p2m.domain)
    except Errno:
        raise Errno.EINVAL from None
    return found.mfn
