"""What a guest asks of its physical map: memory_op (public/memory.h)."""

from hv.common.comm.grant_table import GrantTable
from hv.common.comm.shared_info import SharedInfo, map_of
from hv.common.control.domid import must_be_own
from hv.common.control.handle import read_long, write_status
from hv.common.control.hypercall import MEMORY_OP, Progress, hypercall, is_long_enough, listed
from hv.common.control.memory_layout import (
    AddToPhysmap,
    AddToPhysmapBatch,
    MemoryDomain,
    RemoveFromPhysmap,
    Reservation,
)
from hv.common.mm.p2m import GuestKind
from hv.common.mm.types import Gfn
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, Final, i32, preemptible, raises, u32, u64, unbounded

SPACE_SHARED_INFO: Final[u32] = 0
SPACE_GRANT_TABLE: Final[u32] = 1
LARGEST_EXTENT: Final[u32] = 9  # order that a guest may give back at once
LARGEST_NEW: Final[u32] = 7  # and get: it has to be cleared
MOST_EXTENTS: Final[u64] = 0xFFFF_FFFF >> 6  # of a call, or frames: progress is kept above the operation's number


@listed(MEMORY_OP, sub=1)
@raises
@unbounded("each step goes on behind the frames that are gone")
def decrease_reservation(caller: Vcpu, request: Reservation) -> u64:
    """Gives extents of memory back; progress is counted in frames. Returns how many, up to the first that is not all
    there. EPERM: another domain.
    """
    must_be_own(caller, request.domid)
    progress = Progress.of(caller)
    order = request.extent_order
    if order > LARGEST_EXTENT or request.nr_extents > MOST_EXTENTS >> order:
        return 0
    frames = request.nr_extents << order
    while progress.next < frames:
        extent = progress.next >> order
        given = progress.next - (extent << order)
        try:
            gfn = Gfn(read_long(caller, request.extent_start, extent))
            progress.next += give_back(caller, Gfn(gfn + given), (u64(1) << order) - given)
        except Errno:
            return extent
        if progress.next < frames and is_long_enough():
            raise Errno.ERESTART
    return progress.next >> order


@raises
def give_back(caller: Vcpu, gfn: Gfn, frames: u64) -> u64:
    """Of so many frames those that one leaf maps. Returns how many. ENOENT: it is not memory of the domain's. ENOMEM:
    no memory for tables.
    """
    if map_of(caller.domain).lookup(gfn).kind not in (GuestKind.RAM, GuestKind.SHARED):
        raise Errno.ENOENT
    return DomainMemory.of(caller.domain).remove(gfn, frames)


@listed(MEMORY_OP, sub=6)
@raises
def populate_physmap(caller: Vcpu, request: Reservation) -> u64:
    """Adds extents of cleared memory. Returns how many, up to the first that cannot be had: the domain has as much as
    it may, something is mapped there, or there is no memory. EPERM: another domain's.
    """
    must_be_own(caller, request.domid)
    progress = Progress.of(caller)
    if request.nr_extents > MOST_EXTENTS or progress.next >= request.nr_extents:
        return progress.next
    if request.extent_order > LARGEST_NEW:
        return progress.next
    memory = DomainMemory.of(caller.domain)
    for i in preemptible(range(progress.next, request.nr_extents), progress):
        try:
            gfn = Gfn(read_long(caller, request.extent_start, i))
            memory.populate(caller.domain, gfn, u64(1) << request.extent_order)
        except Errno:
            return i
    return request.nr_extents


@hypercall(MEMORY_OP, sub=3)
@raises
def current_reservation(caller: Vcpu, request: MemoryDomain) -> u64:
    """Frames of memory that the caller's domain has. EPERM: another domain's."""
    must_be_own(caller, request.domid)
    return DomainMemory.of(caller.domain).frames


@hypercall(MEMORY_OP, sub=4)
@raises
def maximum_reservation(caller: Vcpu, request: MemoryDomain) -> u64:
    """Frames of memory that the caller's domain may have. EPERM: another domain's."""
    must_be_own(caller, request.domid)
    return caller.domain.config.frames


@hypercall(MEMORY_OP, sub=14)
@raises
def maximum_gpfn(caller: Vcpu, request: MemoryDomain) -> u64:
    """The highest guest frame that was ever mapped. EPERM: another domain's."""
    must_be_own(caller, request.domid)
    return u64(map_of(caller.domain).highest)


@hypercall(MEMORY_OP, sub=7)
@raises
def add_to_physmap(caller: Vcpu, request: AddToPhysmap) -> u64:
    """Puts the shared information page, or a frame of the grant table, where the caller's domain wants it. EPERM:
    another domain. EINVAL: another space, or no such frame or place. ENOMEM.
    """
    must_be_own(caller, request.domid)
    add(caller, request.space, request.idx, request.gpfn)
    return 0


@raises
def add(caller: Vcpu, space: u32, index: u64, gfn: Gfn) -> None:
    if space == SPACE_GRANT_TABLE:
        GrantTable.of(caller.domain).map_at(caller.domain, index, gfn)
    elif space == SPACE_SHARED_INFO and index == 0:
        SharedInfo.of(caller.domain).map_at(caller.domain, gfn)
    else:
        raise Errno.EINVAL


@listed(MEMORY_OP, sub=23)
@raises
def add_to_physmap_batch(caller: Vcpu, request: AddToPhysmapBatch) -> u64:
    """As `add_to_physmap`, for each of several; how each went stands in `errs`. EPERM: another domain. EFAULT."""
    must_be_own(caller, request.domid)
    progress = Progress.of(caller)
    if progress.next > u64(request.size):
        raise Errno.EILSEQ
    for i in preemptible(range(progress.next, u64(request.size)), progress):
        index = read_long(caller, request.idxs, i)
        gfn = Gfn(read_long(caller, request.gpfns, i))
        status: i32 = 0
        try:
            add(caller, u32(request.space), index, gfn)
        except Errno as e:
            status = -e.code
        write_status(caller, request.errs, i, status)
    return 0


@hypercall(MEMORY_OP, sub=15)
@raises
def remove_from_physmap(caller: Vcpu, request: RemoveFromPhysmap) -> u64:
    """Takes a frame out of the map. EPERM: another domain. ENOENT: nothing is there. ENOMEM: no memory for tables."""
    must_be_own(caller, request.domid)
    give_back(caller, request.gpfn, 1)
    return 0
