"""The memory map that a PVH guest asks for: XENMEM_memory_map, in the form of the BIOS's E820 (public/memory.h)."""

from hv.common.builder.memory_map import lower_bank, upper_bank
from hv.common.control.handle import write_guest
from hv.common.control.hypercall import MEMORY_OP, answering
from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, Final, Long, abi, address_of, packed, raises, size_of, u32, u64

RAM: Final[u32] = 1


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
    frames = caller.domain.config.frames
    upper = upper_bank(frames)
    count: u32 = 1 if upper.bytes == 0 else 2
    if request.nr_entries < count:
        raise Errno.EINVAL
    lower = lower_bank(frames)
    put_entry(caller, request.buffer, lower.start, lower.bytes)
    if count == 2:
        put_entry(caller, request.buffer + size_of(Entry), upper.start, upper.bytes)
    request.nr_entries = count
    return 0


@raises
def put_entry(caller: Vcpu, to: u64, start: u64, bytes: u64) -> None:
    entry = Entry()
    entry.start = start
    entry.bytes = bytes
    entry.kind = RAM
    write_guest(caller, to, address_of(entry), size_of(Entry))
