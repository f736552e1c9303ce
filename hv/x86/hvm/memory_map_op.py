"""The memory map that a PVH guest asks for: XENMEM_memory_map, in the form of the BIOS's E820 (public/memory.h)."""

from hv.common.control.handle import write_guest
from hv.common.control.hypercall import MEMORY_OP, answering
from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, Long, abi, address_of, packed, raises, size_of, u32, u64
from hv.x86.hvm.guest_map import GuestMap


@abi("xen/memory.h", "xen_memory_map_t")
class MemoryMapRequest:
    nr_entries: u32
    buffer: Long[u64]


@packed
class Entry:
    start: u64
    bytes: u64
    kind: u32


@answering(MEMORY_OP, sub=9)
@raises
def memory_map(caller: Vcpu, request: MemoryMapRequest) -> u64:
    """Fills the caller's buffer, and says how many entries there are. EINVAL: there is no room for them. EFAULT."""
    map = GuestMap()
    map.init(caller.domain.config.frames)
    if request.nr_entries < map.count:
        raise Errno.EINVAL
    entry = Entry()
    to = request.buffer
    for region in map:
        entry.start = region.start
        entry.bytes = region.bytes
        entry.kind = u32(region.kind)
        write_guest(caller, to, address_of(entry), size_of(Entry))
        to += size_of(Entry)
    request.nr_entries = map.count
    return 0
