"""A domain's physical map: which frame of the machine stands behind each of its guest frames.

A mapping of RAM holds one reference on each of its frames, which `add` takes over from its caller and which goes when
the mapping does, behind the flush. Tables are charged to the domain, up to a limit.

Where the domain has devices behind an IOMMU, they see each change as its CPUs do (device_maps.py).

Each change returns a `GuestFlush`, and is done only when its `flush()` returns. While a block is split its entry is
absent for a moment: a guest's fault on a frame that `lookup` finds with the access that was asked for is repeated by
the guest.

`P2m.lock` protects the tables and what they owe.
"""

from hv.arch import GuestFormat
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import Held, SpinLock
from hv.common.mm.flush import Flush, TableSource
from hv.common.mm.format import Access, Attributes, Memory
from hv.common.mm.heap import MAX_ORDER, Block, heap, largest_block
from hv.common.mm.ownership import hand_over, hand_over_set_aside, put_frames
from hv.common.mm.pagetable import PageTable
from hv.common.mm.types import DomId, Gfn, Mfn, Paddr, paddr_of
from hv.common.mm.walkers import GuestWalker
from hv.config import CONFIG_SMMUV3
from hv.lang import Embedded, Errno, Final, U8Enum, raises, u8, u16, u32, u64, value

if CONFIG_SMMUV3:
    from hv.common.mm.device_maps import device_maps

TEARDOWN_LEAVES: Final = 32  # that one step of a teardown looks at
TEARDOWN_FRAMES: Final[u64] = 2048  # whose references it drops


class GuestKind(U8Enum):
    """What stands behind a guest frame; kept in the four bits that walkers ignore."""

    NOTHING = 0
    RAM = 1  # the domain's own memory
    READ_ONLY = 2  # the same, which the domain may not write
    DEVICE = 3  # registers of a device; no reference is held
    SHARED = 4  # a frame of the domain's that the hypervisor gave it to talk to it: none of its memory
    FOREIGN = 5  # memory that several domains share, which is nobody's alone: no code is fetched from it


@value
class GuestFrame:
    """What `lookup` finds. When `kind` is NOTHING, 2**order says how large the aligned hole around the frame at least
    is."""

    kind: GuestKind
    mfn: Mfn
    order: u32  # of the leaf that maps the frame
    access: Access


class P2mTables(TableSource):
    """The memory of a domain's tables, in frames."""

    used: u32
    limit: u32
    node: u32  # where they are best

    @raises
    def allocate(self, order: u32) -> Mfn:
        """ENOMEM: the heap is empty, or the domain has had its share."""
        if self.used + (u32(1) << order) > self.limit:
            raise Errno.ENOMEM
        mfn = heap.allocate_zeroed_near(order, self.node)
        self.used += u32(1) << order
        return mfn

    def free(self, mfn: Mfn, order: u32) -> None:
        self.used -= u32(1) << order
        heap.free(mfn, order)


class P2m:
    lock: SpinLock[Rank.P2M]
    domain: DomId
    tables: Embedded[P2mTables]
    map: Embedded[PageTable[GuestFormat, GuestWalker]]
    torn_to: Gfn  # the mappings below are gone already
    dropping: Mfn  # frames that are mapped no more, and whose references a teardown has still to drop
    drop_count: u64
    highest: Gfn  # that was ever mapped

    @raises
    def init(self, domain: DomId, vmid: u16, table_limit: u32) -> None:
        """An empty map, whose tables take at most so many frames. No CPU caches anything under the VMID. ENOMEM."""
        self.domain = domain
        self.tables.limit = table_limit
        self.map.init(self.tables, vmid)

    @property
    def root(self) -> Paddr:
        return paddr_of(self.map.root)

    @property
    def tag(self) -> u16:
        """By which TLBs know it."""
        return self.map.pending.tag

    def lookup(self, gfn: Gfn) -> GuestFrame:
        """What stands behind any guest frame number at all."""
        with self.lock as held:
            return self.find(held, gfn)

    def find(self, held: Held[Rank.P2M], gfn: Gfn) -> GuestFrame:
        """As `lookup`: while the lock is held, the mapping stays, and the frame with it."""
        return self._lookup(gfn)

    @raises
    def add(self, gfn: Gfn, mfn: Mfn, order: u32, kind: GuestKind) -> "GuestFlush":
        """Maps an aligned block, with leaves as large as its order allows. EINVAL: not aligned, or beyond the map's
        limit. EEXIST: something is mapped there. ENOMEM: no memory for tables."""
        if order > MAX_ORDER or (u64(gfn) | u64(mfn)) & ((u64(1) << order) - 1) != 0:
            raise Errno.EINVAL
        return self.add_run(gfn, mfn, u64(1) << order, kind)

    @raises
    def add_run(self, gfn: Gfn, mfn: Mfn, frames: u64, kind: GuestKind) -> "GuestFlush":
        """Maps frames from the first on, with leaves as large as fit; `done` says how many. EINVAL, EEXIST, ENOMEM: as
        `add`."""
        with self.lock:
            owed = self.map.map(gfn, mfn, frames, attributes_of(kind))
            if CONFIG_SMMUV3:
                try:
                    device_maps.map(self.tag, gfn, mfn, owed.done, attributes_of(kind))
                except Errno:
                    owed.flush()
                    self._unmap_leaves(gfn, owed.done)
                    raise
            self.highest = Gfn(max(self.highest, gfn + (owed.done - 1)))
            return GuestFlush(self, owed, mfn, 0, kind)

    @raises
    def remove(self, gfn: Gfn, frames: u64) -> "GuestFlush":
        """Unmaps frames up to the end of the leaf that maps `gfn`; `done` says how many. ENOENT: nothing is mapped
        there. EINVAL: no frames. ENOMEM: no memory for the tables of a split."""
        with self.lock:
            found = self._lookup(gfn)
            if found.kind == GuestKind.NOTHING:
                raise Errno.ENOENT
            count = min(frames, leaf_rest(gfn, found.order))
            if CONFIG_SMMUV3:
                device_maps.make_ready(self.tag)
            owed = self.map.unmap(gfn, count)
            if CONFIG_SMMUV3:
                device_maps.unmap(self.tag, gfn, owed.done)
            referenced = owed.done if found.kind != GuestKind.DEVICE else 0
            return GuestFlush(self, owed, found.mfn, referenced, found.kind)

    @raises
    def protect(self, gfn: Gfn, frames: u64, access: Access) -> "GuestFlush":
        """Gives frames this access, up to the end of one run of leaves or holes; `done` says how many. EINVAL: no
        frames, or beyond the map's limit. ENOMEM: no memory for the tables of a split."""
        with self.lock:
            if CONFIG_SMMUV3:
                device_maps.make_ready(self.tag)
            owed = self.map.protect(gfn, frames, access)
            if CONFIG_SMMUV3:
                device_maps.protect(self.tag, gfn, owed.done, access)
            return GuestFlush(self, owed, Mfn(0), 0, GuestKind.NOTHING)

    @raises
    def populate(self, gfn: Gfn, frames: u64) -> u64:
        """Puts cleared memory of the domain's own behind guest frames: the largest block that alignment, length and the
        heap allow. Returns how many frames that was. EEXIST: something is mapped there. EINVAL: beyond the map's limit.
        ENOMEM."""
        assert frames != 0, "populating no frames"
        block = heap.largest_near(largest_block(gfn, frames), self.tables.node)
        self.put_new(gfn, block)
        return u64(1) << block.order

    @raises
    def put_new(self, gfn: Gfn, block: Block) -> None:
        """Puts a block of the heap behind guest frames, cleared, as the domain's own; or gives it back. EEXIST:
        something is mapped there. EINVAL: beyond the map's limit, or not aligned. ENOMEM."""
        self._add_own(gfn, hand_over(block.mfn, self.domain, block.order), block.order)

    @raises
    def put_back(self, gfn: Gfn, mfn: Mfn) -> u64:
        """Puts a frame that is set aside for the domain behind a guest frame again, cleared. Returns how many that was:
        one. EEXIST: something is mapped there. EINVAL: beyond the map's limit. ENOMEM, also when somebody still refers
        to the frame."""
        hand_over_set_aside(mfn, self.domain)
        self._add_own(gfn, mfn, 0)
        return 1

    def teardown_step(self) -> bool:
        """Takes down some of the map of a domain whose vCPUs run no more. True: nothing is left; the object may be
        freed."""
        left = TEARDOWN_FRAMES
        for _ in range(TEARDOWN_LEAVES):
            if self.drop_count == 0:
                if self.torn_to >= GuestFormat.limit():
                    break
                with self.lock:
                    self._tear_leaf()
            left -= self._drop(left)
            if left == 0:
                break
        if self.drop_count != 0 or self.torn_to < GuestFormat.limit():
            return False
        self.map.destroy()
        return True

    def _drop(self, most: u64) -> u64:
        """References of what is mapped no more. Returns how many."""
        count = min(self.drop_count, most)
        if count != 0:
            put_frames(self.dropping, count)
            self.dropping = Mfn(self.dropping + count)
            self.drop_count -= count
        return count

    def _tear_leaf(self) -> None:
        """Skips a hole, or unmaps and flushes one leaf whose references are then dropped in steps."""
        found = self._lookup(self.torn_to)
        rest = leaf_rest(self.torn_to, found.order)
        if found.kind != GuestKind.NOTHING:
            self._unmap_leaves(self.torn_to, rest)
            if found.kind != GuestKind.DEVICE:
                self.dropping = found.mfn
                self.drop_count = rest
        self.torn_to = Gfn(self.torn_to + rest)

    def _unmap_leaves(self, gfn: Gfn, frames: u64) -> None:
        """A run of whole ones, or one."""
        torn = True
        try:
            self.map.unmap(gfn, frames).flush()
        except Errno:
            torn = False
        assert torn, "a whole leaf needs no memory to be unmapped"

    @raises
    def _add_own(self, gfn: Gfn, mfn: Mfn, order: u32) -> None:
        """Maps a block of new memory, or gives it back."""
        try:
            self.add(gfn, mfn, order, GuestKind.RAM).flush()
        except Errno:
            put_frames(mfn, u64(1) << order)
            raise

    def _lookup(self, gfn: Gfn) -> GuestFrame:
        found = self.map.lookup(gfn)
        if not found.present:
            return GuestFrame(GuestKind.NOTHING, Mfn(0), found.order, Access(0))
        return GuestFrame(GuestKind(found.attributes.kind), found.mfn, found.order, found.attributes.access)


@value
class GuestFlush:
    """The duty to flush a change of a physical map, and then to drop references on frames that it holds no more."""

    p2m: P2m
    owed: Flush[GuestWalker]
    mfn: Mfn
    referenced: u64
    kind: GuestKind  # of what was added or removed

    @property
    def done(self) -> u64:
        """Guest frames that have been worked on."""
        return self.owed.done

    def flush(self) -> None:
        with self.p2m.lock:
            self.owed.flush()
        if self.referenced != 0:
            put_frames(self.mfn, self.referenced)


def attributes_of(kind: GuestKind) -> Attributes:
    access = Access.R
    if kind != GuestKind.READ_ONLY:
        access |= Access.W
    if kind != GuestKind.DEVICE and kind != GuestKind.FOREIGN:
        access |= Access.X
    memory = Memory.DEVICE if kind == GuestKind.DEVICE else Memory.NORMAL
    return Attributes(access=access, memory=memory, kind=u16(u8(kind)))


def leaf_rest(gfn: u64, order: u32) -> u64:
    """Frames from `gfn` to the end of the aligned block of this order around it."""
    return (u64(1) << order) - (gfn & ((u64(1) << order) - 1))
