"""Shared memory that domains ask for: nodes "xen,domain-shared-memory-v1" below a domain's.

Bindings: Xen, docs/misc/arm/device-tree/booting.txt. `xen,shm-id` names the region, `xen,shared-mem` says where it is
in the machine (which may be left out), where in the guest, and how large it is, in cells as the domain's node has them
for `reg`; `role` is "owner" or, as without it, "borrower". All who name a region say the same place and size; one at
most is its owner, and it is the hypervisor's when none is.
"""

from hv.arch import GuestFormat
from hv.common.builder.cells import cells_below
from hv.common.builder.claims import ClaimKind, claims
from hv.common.builder.description import Description
from hv.common.builder.guest_parts import guest_part
from hv.common.builder.mistake import Mistake
from hv.common.builder.shares import (
    HYPERVISOR,
    LONGEST_ID,
    MAX_REGIONS,
    MAX_SHARES,
    Share,
    SharedRegion,
    shared_regions,
)
from hv.common.builder.static_memory import check_range
from hv.common.builder.wanted import wanted_name, wanted_property
from hv.common.kernel.log import error
from hv.common.lib.fdt import Node
from hv.common.mm.early import early, is_early
from hv.common.mm.types import PAGE_SHIFT, PAGE_SIZE, Gaddr, Mfn, Paddr, gfn_of, mfn_of
from hv.lang import Errno, Final, raises, u64, value

SHARED_MEMORY: Final = "xen,shared-mem"
SHARED_ID: Final = "xen,shm-id"
LARGE: Final[u64] = 0x20_0000  # is aligned to that


@value
class Asked:
    """What a node asks for."""

    id: str
    named: bool
    start: Paddr
    to: Gaddr
    bytes: u64
    owner: bool


@raises
def read_share(mistake: Mistake, node: Node, child: Node, into: Description) -> None:
    """Of a domain whose memory and devices have been read. EINVAL: the mistake tells."""
    if not is_early():
        mistake.wrong(child.name, "compatible", "asks for what is not offered on this architecture")
        raise Errno.EINVAL
    asked = _asked(mistake, node, child)
    _check_place(mistake, child, asked, into)
    index = shared_regions.find(asked.id)
    if index == shared_regions.count:
        _add_region(mistake, child, asked)
    region = shared_regions.table[index]
    if region.named != asked.named or region.bytes != asked.bytes or (asked.named and region.first != _first(asked)):
        mistake.wrong(child.name, SHARED_MEMORY, f'is not what the nodes before it say of "{asked.id}"')
    elif asked.owner and region.owner != HYPERVISOR:
        mistake.wrong(child.name, "role", f'is "owner": d{region.owner} owns "{asked.id}"')
    elif into.shares.count == MAX_SHARES:
        mistake.wrong(child.name, SHARED_MEMORY, f"is one of more than {MAX_SHARES} of the domain")
    else:
        if asked.owner:
            region.owner = into.id
        into.shares.table[into.shares.count] = Share(index, gfn_of(asked.to), asked.owner)
        into.shares.count += 1
        return
    raise Errno.EINVAL


def _first(asked: Asked) -> Mfn:
    return mfn_of(asked.start)


@raises
def _asked(mistake: Mistake, node: Node, child: Node) -> Asked:
    """With sizes and alignment checked."""
    id = wanted_name(mistake, child, child.name, SHARED_ID)
    if len(id) == 0 or len(id) > LONGEST_ID:
        mistake.wrong(child.name, SHARED_ID, f"has {len(id)} characters: 1 to {LONGEST_ID} are right")
        raise Errno.EINVAL
    owner = _is_owner(mistake, child)
    listed = wanted_property(mistake, child, child.name, SHARED_MEMORY)
    start = Paddr(0)
    to: u64 = 0
    size: u64 = 0
    named = False
    try:
        cells = cells_below(node)
        named = listed.bytes.length == u64(4 * (cells.address + cells.pair))
        at = cells.address if named else 0
        if not named and listed.bytes.length != u64(4 * cells.pair):
            raise Errno.EINVAL
        if named:
            start = Paddr(listed.number(0, cells.address))
        to = listed.number(at, cells.address)
        size = listed.number(at + cells.address, cells.size)
    except Errno:
        mistake.wrong(
            child.name, SHARED_MEMORY, "is no address, guest's address and size, of the cells that the domain says"
        )
        raise Errno.EINVAL from None
    if size == 0 or (size | to) % PAGE_SIZE != 0:
        mistake.wrong(child.name, SHARED_MEMORY, f"has {size:#x} bytes at the guest's {to:#x}: that is no whole pages")
        raise Errno.EINVAL
    if not named and size > early.ram.bytes:
        mistake.wrong(child.name, SHARED_MEMORY, f"has {size:#x} bytes: the machine has not so much memory")
        raise Errno.EINVAL
    return Asked(id, named, start, Gaddr(to), size, owner)


@raises
def _is_owner(mistake: Mistake, child: Node) -> bool:
    role = child.property("role")
    if role.found and role.lists("owner") == role.lists("borrower"):
        mistake.wrong(child.name, "role", 'is neither "owner" nor "borrower"')
        raise Errno.EINVAL
    return role.lists("owner")


@raises
def _check_place(mistake: Mistake, child: Node, asked: Asked, description: Description) -> None:
    """That nothing else of the guest's map is there."""
    limit = GuestFormat.limit() << PAGE_SHIFT
    start = asked.to
    if start >= limit or asked.bytes > limit - start:
        mistake.wrong(
            child.name, SHARED_MEMORY, f"has {asked.bytes:#x} bytes at the guest's {start:#x}, which end at {limit:#x}"
        )
        raise Errno.EINVAL
    there = _guest_part(description, start, Gaddr(start + asked.bytes))
    if there != "":
        mistake.wrong(
            child.name,
            SHARED_MEMORY,
            f"has {asked.bytes:#x} bytes at the guest's {start:#x}, where {there} lies",
        )
        raise Errno.EINVAL


def _guest_part(description: Description, start: Gaddr, end: Gaddr) -> str:
    """Empty: nothing."""
    if description.has_memory_in(start, end):
        return "its memory"
    for share in description.shares:
        if share.start < end and start < share.start + share.bytes:
            return "other shared memory"
    for window in description.devices.each_window():
        if window.guest_start < end and start < window.guest_end:
            return "a device"
    return guest_part(description, start, end)


@raises
def _add_region(mistake: Mistake, child: Node, asked: Asked) -> None:
    if shared_regions.count == MAX_REGIONS:
        mistake.wrong(child.name, SHARED_ID, f"names one of more than {MAX_REGIONS} regions")
        raise Errno.EINVAL
    if asked.named:
        check_range(mistake, child.name, SHARED_MEMORY, asked.start, asked.bytes, PAGE_SIZE)
        claims.add(ClaimKind.SHARED, asked.start, Paddr(asked.start + asked.bytes), asked.id)
    region = shared_regions.table[shared_regions.count]
    region.id = asked.id
    region.first = _first(asked)
    region.frames = asked.bytes >> PAGE_SHIFT
    region.named = asked.named
    region.owner = HYPERVISOR
    region.cleared = 0
    shared_regions.count += 1


def place_regions() -> None:
    """Gives memory to those of which the tree does not say where they are. All domains have been read, and what is free
    is what the heap will get. A line tells of one that gets none: who shares it is not built."""
    for region in shared_regions:
        if region.named:
            continue
        try:
            region.first = mfn_of(early.allocate(region.bytes, _alignment(region)))
        except Errno:
            error(f'there are no {region.bytes >> 10} KiB in a row for the shared memory "{region.id}"')


def _alignment(region: SharedRegion) -> u64:
    return LARGE if region.bytes >= LARGE else PAGE_SIZE
