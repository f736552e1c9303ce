"""The structures of memory_op (public/memory.h)."""

from hv.common.mm.types import DomId, Gfn
from hv.lang import Long, abi, u16, u32, u64


@abi("xen/memory.h", "xen_memory_reservation_t")
class Reservation:
    extent_start: Long[u64]
    nr_extents: Long[u64]
    extent_order: u32
    mem_flags: u32
    domid: DomId


@abi("xen/memory.h", "struct xen_memory_domain")
class MemoryDomain:
    domid: DomId


@abi("xen/memory.h", "xen_add_to_physmap_t")
class AddToPhysmap:
    domid: DomId
    size: u16
    space: u32
    idx: Long[u64]
    gpfn: Long[Gfn]


@abi("xen/memory.h", "xen_add_to_physmap_batch_t")
class AddToPhysmapBatch:
    domid: DomId
    space: u16
    size: u16
    u: u16
    idxs: Long[u64]
    gpfns: Long[u64]
    errs: Long[u64]


@abi("xen/memory.h", "xen_remove_from_physmap_t")
class RemoveFromPhysmap:
    domid: DomId
    gpfn: Long[Gfn]
