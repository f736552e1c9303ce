"""The structures of memory_op (public/memory.h)."""

from hv.common.mm.types import DomId, Gfn
from hv.lang import Long, abi, u16, u32, u64


@abi("xen/memory.h", "xen_add_to_physmap_t")
class AddToPhysmap:
    domid: DomId
    size: u16
    space: u32
    idx: Long[u64]
    gpfn: Long[Gfn]


@abi("xen/memory.h", "xen_remove_from_physmap_t")
class RemoveFromPhysmap:
    domid: DomId
    gpfn: Long[Gfn]
