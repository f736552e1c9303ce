"""Memory that the device tree sets aside: for domains (`xen,static-mem`), and for the heap (`xen,static-heap`).

Bindings: Xen, docs/misc/arm/device-tree/booting.txt. Both are lists of address and size, of as many cells as the parent
of their node says. A domain's ranges add up to its `memory` and are that, in their order. Its map is as others' are;
with `direct-map` all memory is where the machine has it, and so are interrupt controller and UART. Where /chosen has a
static heap, the heap is that and nothing else, and what no domain is given stays unused.

Nothing is set aside on a machine whose descriptions are read when the heap has begun.
"""

from hv.arch import GuestFormat
from hv.common.builder.cells import cells_below
from hv.common.builder.claims import MAX_HEAP, ClaimKind, claims
from hv.common.builder.description import Description
from hv.common.builder.guest_parts import guest_part, most_vcpus
from hv.common.builder.memory_map import frames_in_bank, gfn_at
from hv.common.builder.mistake import Mistake
from hv.common.kernel.log import error, info
from hv.common.lib.fdt import Node
from hv.common.lib.image import BASE_ALIGNMENT
from hv.common.mm.early import Ranges, early, is_early
from hv.common.mm.set_aside import MAX_RANGES, Run
from hv.common.mm.types import PAGE_SHIFT, PAGE_SIZE, Gfn, Mfn, Paddr, mfn_of
from hv.lang import Embedded, Errno, Final, bounded, raises, u32, u64

STATIC_MEMORY: Final = "xen,static-mem"
DIRECT_MAP: Final = "direct-map"
STATIC_HEAP: Final = "xen,static-heap"
HEAP_ALIGNMENT: Final[u64] = 0x1_0000
KIB: Final[u64] = 1024


@raises
def read_static_memory(mistake: Mistake, node: Node, description: Description) -> None:
    """Those of a domain whose `memory` has been read; none when it has no such property. EINVAL: the mistake tells."""
    listed = node.property(STATIC_MEMORY)
    direct = node.has(DIRECT_MAP)
    if not listed.found:
        if direct:
            mistake.wrong("", DIRECT_MAP, f'asks for memory that "{STATIC_MEMORY}" sets aside, which is missing')
            raise Errno.EINVAL
        return
    if not is_early():
        mistake.wrong("", STATIC_MEMORY, "asks for what is not offered on this architecture")
        raise Errno.EINVAL
    total: u64 = 0
    count: u32 = 0
    try:
        cells = cells_below(node.parent())
        if not cells.are_whole(listed):
            raise Errno.EINVAL
        count = listed.count // cells.pair
    except Errno:
        mistake.wrong("", STATIC_MEMORY, "is no list of addresses and sizes, of the cells that /chosen says")
        raise Errno.EINVAL from None
    if count > MAX_RANGES:
        mistake.wrong("", STATIC_MEMORY, f"has {count} ranges: {MAX_RANGES} are the most")
        raise Errno.EINVAL
    for i in bounded(count, MAX_RANGES):
        start = cells.start(listed, i)
        size = cells.bytes(listed, i)
        check_range(mistake, "", STATIC_MEMORY, start, size, PAGE_SIZE)
        claims.add(ClaimKind.MEMORY, start, Paddr(start + size), node.name)
        total += size
    if total != description.frames << PAGE_SHIFT:
        kib = description.frames << PAGE_SHIFT - 10
        mistake.wrong(
            "", STATIC_MEMORY, f'adds up to {total // KIB} KiB, and "memory" is {kib} KiB: make them the same'
        )
        raise Errno.EINVAL
    for i in bounded(count, MAX_RANGES):
        add_runs(description, mfn_of(cells.start(listed, i)), cells.bytes(listed, i) >> PAGE_SHIFT, direct)
    description.set_aside.direct = direct
    if direct:
        _check_direct(mistake, description)


@raises
def _check_direct(mistake: Mistake, description: Description) -> None:
    """That memory leaves the guest's devices their places, and a kernel can stand where it begins."""
    first = description.bank(0).start
    if first % BASE_ALIGNMENT != 0:
        mistake.wrong("", DIRECT_MAP, f"lets memory begin at {first:#x}: a kernel wants a multiple of 2 MiB")
        raise Errno.EINVAL
    most = most_vcpus(description)
    if description.vcpus > most:
        mistake.wrong(
            "", "cpus", f"is {description.vcpus}: where the machine has its redistributors there is room for {most}"
        )
        raise Errno.EINVAL
    for bank in description.banks():
        there = guest_part(description, bank.start, bank.end)
        if bank.end > GuestFormat.limit() << PAGE_SHIFT:
            there = "the end of a guest's map"
        if there != "":
            mistake.wrong(
                "",
                DIRECT_MAP,
                f"lets memory be at {bank.start:#x} to {bank.end:#x}, where {there} lies",
            )
            raise Errno.EINVAL


@raises
def add_runs(description: Description, mfn: Mfn, frames: u64, direct: bool) -> None:
    """Puts a range behind those that the domain has: one run, or two where the guest's lower bank ends."""
    own = description.set_aside
    if direct:
        own.add(Run(Gfn(mfn), mfn, frames))
        return
    first = min(frames, frames_in_bank(own.frames, description.frames))
    own.add(Run(gfn_at(own.frames), mfn, first))
    if first != frames:
        own.add(Run(gfn_at(own.frames), Mfn(mfn + first), frames - first))


@raises
def check_range(mistake: Mistake, where: str, name: str, start: Paddr, size: u64, alignment: u64) -> None:
    """EINVAL: it cannot be set aside; the mistake tells why."""
    end = Paddr(start + size)
    if size == 0:
        mistake.wrong(where, name, f"has a range of no bytes at {start:#x}: leave it out")
    elif (start | size) & (alignment - 1) != 0:
        mistake.wrong(where, name, f"has {start:#x} to {end:#x}: both have to be multiples of {alignment:#x}")
    elif end < start or not early.ram.cover(start, end):
        mistake.wrong(where, name, f"has {start:#x} to {end:#x}, where there is no memory: name a range of RAM")
    elif not early.free.cover(start, end):
        mistake.wrong(where, name, f"has {start:#x} to {end:#x}, some of which is in use or reserved: move it")
    else:
        found = claims.find(start, end)
        if found == claims.count:
            return
        claim = claims.table[found]
        mistake.wrong(
            where,
            name,
            f"has {start:#x} to {end:#x}, some of which is {claim.what} of {claim.owner}, "
            f"{claim.start:#x} to {claim.end:#x}: move one of them",
        )
    raise Errno.EINVAL


class StaticHeap:
    mistake: Embedded[Mistake]
    ranges: Embedded[Ranges]  # none: all that is free


static_heap: Final = StaticHeap()


def read_static_heap(chosen: Node) -> None:
    """Before the domains. With a mistake in it, the heap is as without it, and a line says so."""
    if not chosen.has(STATIC_HEAP):
        return
    try:
        _read_heap(static_heap.mistake, chosen)
    except Errno:
        claims.count = 0
        static_heap.ranges.count = 0
        error(f"{chosen.name}: {static_heap.mistake.text}: the heap has all memory")


@raises
def _read_heap(mistake: Mistake, chosen: Node) -> None:
    listed = chosen.property(STATIC_HEAP)
    if not is_early():
        mistake.wrong("", STATIC_HEAP, "asks for what is not offered on this architecture")
        raise Errno.EINVAL
    count: u32 = 0
    try:
        cells = cells_below(chosen.parent())
        if not cells.are_whole(listed):
            raise Errno.EINVAL
        count = listed.count // cells.pair
    except Errno:
        mistake.wrong("", STATIC_HEAP, "is no list of addresses and sizes, of the cells that the root says")
        raise Errno.EINVAL from None
    if count > MAX_HEAP:
        mistake.wrong("", STATIC_HEAP, f"has {count} ranges: {MAX_HEAP} are the most")
        raise Errno.EINVAL
    for i in bounded(count, MAX_HEAP):
        start = cells.start(listed, i)
        size = cells.bytes(listed, i)
        check_range(mistake, "", STATIC_HEAP, start, size, HEAP_ALIGNMENT)
        claims.add(ClaimKind.HEAP, start, Paddr(start + size), chosen.name)
        static_heap.ranges.add(start, Paddr(start + size))


@raises
def keep_heap() -> None:
    """Behind the domains: what is free and not the static heap is nobody's. ENOSPC: memory is too scattered."""
    if static_heap.ranges.count != 0:
        early.free.keep_only(static_heap.ranges)
        info(f"the heap is static: {static_heap.ranges.bytes >> 20} MiB")
