"""Translation tables of any format: map, unmap, protect, split, coalesce.

An operation works on one run: neighbouring entries of one table. It returns how many frames are done and the duty to
flush (`Flush`); a longer range is done by repeating from there, and the caller may be preempted in between. An
operation that raises has changed no translation.

Invariants: no empty table is linked, but the root; a table is complete and published before it is linked; one that was
linked is freed behind the flush. Where the format asks for break-before-make, an entry that turns from a block into a
table, or back, is absent in between: whoever faults on it meanwhile waits for the lock and finds it present. So the
hypervisor's own tables must not split a block that holds what it runs on.

The owner's lock protects all of this.
"""

from hv.arch import clean_to_memory, publish_table, store_entry
from hv.common.mm.flush import Flush, Pending, TableSource
from hv.common.mm.format import ENTRIES, ENTRY_BYTES, HEIGHT_BITS, MAX_HEIGHT, Access, Attributes, Format, Walker
from hv.common.mm.types import PAGE_SIZE, Mfn
from hv.lang import (
    Const,
    Embedded,
    Errno,
    Final,
    Generic,
    TypeVar,
    array,
    bounded,
    ptr,
    raises,
    u16,
    u32,
    u64,
    unbounded,
    value,
)

F = TypeVar("F", bound=Format)
W = TypeVar("W", bound=Walker)

MAX_RUN: Final[u64] = 16 * ENTRIES  # entries of a root of 16 tables


@value
class Mapping:
    """What is at one frame number. When nothing is, 2**order says how large the aligned hole around it at least is."""

    present: bool
    mfn: Mfn  # of this frame, not of the block that it lies in
    order: u32
    attributes: Attributes


@value
class Place:
    """An entry and where it stands."""

    slot: u64  # its address
    height: u32
    entry: u64


class PageTable(Generic[F, W]):
    format: Const[F]
    walker: Const[W]
    root: Mfn
    source: TableSource
    pending: Embedded[Pending[W]]
    spare: array[Mfn, MAX_HEIGHT]  # cleared tables kept ready, so that no operation fails half-way
    spare_count: u32
    path: array[Mfn, MAX_HEIGHT + 1]  # the table at each height that `_find` passed last

    @raises
    def init(self, source: TableSource, tag: u16) -> None:
        """Makes an empty root. ENOMEM."""
        self.root = source.allocate(self.format.root_order())
        self.source = source
        self._clean(self.walker.view(self.root), u64(PAGE_SIZE) << self.format.root_order())
        publish_table()
        self.pending.init(source, self.root, tag)

    def destroy(self) -> None:
        """Frees the tables of a map that is empty and that no walker uses any more."""
        self.pending.settled()
        self.pending.pay()
        for i in bounded(self.spare_count, MAX_HEIGHT):
            self.source.free(self.spare[i], 0)
        self.spare_count = 0
        self.source.free(self.root, self.format.root_order())

    def lookup(self, at: u64) -> Mapping:
        """What stands behind any number at all."""
        if at >= self.format.limit():
            return Mapping(False, Mfn(0), 0, Attributes(0))
        place = self._find(at, 0)
        order = place.height * HEIGHT_BITS
        if not self.format.is_present(place.entry):
            return Mapping(False, Mfn(0), order, Attributes(0))
        inside = at & (span(place.height) - 1)
        mfn = Mfn(self.format.target(place.entry, place.height) + inside)
        return Mapping(True, mfn, order, self.format.attributes(place.entry, place.height))

    @raises
    def map(self, at: u64, mfn: Mfn, frames: u64, attributes: Attributes) -> Flush[W]:
        """Maps one run, with the largest leaves that alignment and length allow.

        EINVAL: no frames, or beyond the format's limit. EEXIST: something is mapped there. ENOMEM: no memory for
        tables."""
        self._check_range(at, frames)
        height = self._largest_leaf(at | u64(mfn), frames, self.format.top())
        place = self._find(at, height)
        count = self._run(at, frames, height)
        if self.format.is_present(place.entry):
            raise Errno.EEXIST
        self.pending.make_way(at, count * span(height))
        if place.height == height:
            for i in bounded(1, count, MAX_RUN):
                if self.format.is_present(load(place.slot + i * ENTRY_BYTES)):
                    raise Errno.EEXIST
            self._fill(place.slot, mfn, count, height, attributes)
        else:
            self._reserve(place.height - height)
            table = self._take_spare()
            self._fill(self._slot(table, at, height), mfn, count, height, attributes)
            for above in bounded(height + 1, place.height, MAX_HEIGHT):
                parent = self._take_spare()
                self._store(self._slot(parent, at, above), self.format.table(table))
                table = parent
            self._link(place.slot, table)
        self.pending.added(at, count * span(height), height * HEIGHT_BITS)
        return self.pending.token(count * span(height))

    @raises
    def unmap(self, at: u64, frames: u64) -> Flush[W]:
        """Unmaps one run, or skips one hole. A block that reaches beyond the range is split.

        EINVAL: no frames, or beyond the format's limit. ENOMEM: no memory for the tables of a split."""
        self._check_range(at, frames)
        self.pending.make_room(MAX_HEIGHT)
        place = self._cut(at, frames)
        if not self.format.is_present(place.entry):
            return self.pending.token(self._rest(at, frames, place.height))
        count = self._leaves(place, self._run(at, frames, place.height))
        for i in bounded(count, MAX_RUN):
            store_entry(place.slot + i * ENTRY_BYTES, 0)
        self._clean(place.slot, count * ENTRY_BYTES)
        done = count * span(place.height)
        self.pending.changed(at, done, place.height * HEIGHT_BITS)
        self._prune(at, place.height)
        return self.pending.token(done)

    @raises
    def protect(self, at: u64, frames: u64, access: Access) -> Flush[W]:
        """Gives the leaves of one run this access, or skips a hole or a leaf that has it. A block that reaches beyond
        the range is split.

        EINVAL: no frames, or beyond the format's limit. ENOMEM: no memory for the tables of a split."""
        self._check_range(at, frames)
        place = self._find(at, 0)
        if not self.format.is_present(place.entry) or self._access(place) == access:
            return self.pending.token(self._rest(at, frames, place.height))
        place = self._cut(at, frames)
        count = self._leaves(place, self._run(at, frames, place.height))
        for i in bounded(count, MAX_RUN):
            entry = load(place.slot + i * ENTRY_BYTES)
            if self.format.is_present(entry):
                store_entry(place.slot + i * ENTRY_BYTES, self._with_access(entry, place.height, access))
        self._clean(place.slot, count * ENTRY_BYTES)
        done = count * span(place.height)
        self.pending.changed(at, done, place.height * HEIGHT_BITS)
        return self.pending.token(done)

    @raises
    def split(self, at: u64, height: u32) -> Flush[W]:
        """Splits the block around a frame until nothing larger than a leaf of this height is left there. `done` is 0
        when there was no such block.

        EINVAL: beyond the format's limit. ENOMEM: no memory for tables."""
        self._check_range(at, 1)
        place = self._find(at, 0)
        if place.height <= height or not self.format.is_present(place.entry):
            return self.pending.token(0)
        self._reserve(place.height - height)
        done = span(place.height)
        self._split_to(at, place, height)
        return self.pending.token(done)

    def coalesce(self, at: u64, height: u32) -> Flush[W]:
        """Turns the table below the entry of this height around a frame into one block, when its leaves make one up.
        `done` is 0 when they do not."""
        if height == 0 or height > self.format.top() or at >= self.format.limit():
            return self.pending.token(0)
        start = at & ~(span(height) - 1)
        place = self._find(start, height)
        if place.height != height or not self._table_at(place.entry, height):
            return self.pending.token(0)
        table = self.format.target(place.entry, height)
        first = load(self.walker.view(table))
        if not self._make_block(table, first, height):
            return self.pending.token(0)
        self.pending.make_room(1)
        attributes = self.format.attributes(first, height - 1)
        block = self.format.leaf(self.format.target(first, height - 1), height, attributes)
        self._replace(place.slot, block, start, height, (height - 1) * HEIGHT_BITS)
        self.pending.removed_table(table)
        return self.pending.token(span(height))

    @raises
    def make_ready(self) -> None:
        """The next operation needs no memory, unless it maps. ENOMEM."""
        self._reserve(self.format.top())

    # Looking

    @unbounded("goes down one height at a time")
    def _find(self, at: u64, lowest: u32) -> Place:
        """The entry that decides about a frame number: a leaf, an absent entry, or what stands at height `lowest`."""
        table = self.root
        height = self.format.top()
        while True:
            self.path[height] = table
            slot = self._slot(table, at, height)
            entry = load(slot)
            if height == lowest or not self.format.is_present(entry) or self.format.is_leaf(entry, height):
                return Place(slot, height, entry)
            table = self.format.target(entry, height)
            height -= 1

    def _access(self, leaf: Place) -> Access:
        return self.format.attributes(leaf.entry, leaf.height).access

    def _leaf_at(self, entry: u64, height: u32) -> bool:
        return self.format.is_present(entry) and self.format.is_leaf(entry, height)

    def _table_at(self, entry: u64, height: u32) -> bool:
        return self.format.is_present(entry) and not self.format.is_leaf(entry, height)

    def _index(self, at: u64, height: u32) -> u64:
        index = at >> height * HEIGHT_BITS
        return index if height == self.format.top() else index & (ENTRIES - 1)

    def _slot(self, table: Mfn, at: u64, height: u32) -> u64:
        return self.walker.view(table) + self._index(at, height) * ENTRY_BYTES

    def _run(self, at: u64, frames: u64, height: u32) -> u64:
        """Entries of this height from `at` on that lie in the range and in one table."""
        entries = u64(ENTRIES) << self.format.root_order() if height == self.format.top() else ENTRIES
        return min(frames >> height * HEIGHT_BITS, entries - self._index(at, height))

    def _rest(self, at: u64, frames: u64, height: u32) -> u64:
        """Frames from `at` to the end of the entry of this height, or of the range."""
        return min(frames, span(height) - (at & (span(height) - 1)))

    def _leaves(self, place: Place, count: u64) -> u64:
        """Entries from the place on, up to `count`, before the first that names a table."""
        for i in bounded(count, MAX_RUN):
            entry = load(place.slot + i * ENTRY_BYTES)
            if self._table_at(entry, place.height):
                return i
        return count

    def _largest_leaf(self, alignment: u64, frames: u64, highest: u32) -> u32:
        """The height of the largest leaf that starts at numbers with these bits and fits in the range."""
        height: u32 = 0
        for larger in bounded(1, highest + 1, MAX_HEIGHT + 1):
            if self.format.has_leaf(larger) and alignment & (span(larger) - 1) == 0 and frames >= span(larger):
                height = larger
        return height

    @raises
    def _check_range(self, at: u64, frames: u64) -> None:
        limit = self.format.limit()
        if frames == 0 or at >= limit or frames > limit - at:
            raise Errno.EINVAL

    # Changing

    def _store(self, slot: u64, entry: u64) -> None:
        store_entry(slot, entry)
        self._clean(slot, ENTRY_BYTES)

    def _clean(self, address: u64, length: u64) -> None:
        """Lets a walker that does not snoop see what was stored."""
        if not self.walker.snoops():
            clean_to_memory(address, length)

    def _fill(self, slot: u64, mfn: Mfn, count: u64, height: u32, attributes: Attributes) -> None:
        """Writes leaves for frames in a row into entries in a row."""
        for i in bounded(count, MAX_RUN):
            frame = Mfn(mfn + (i << height * HEIGHT_BITS))
            store_entry(slot + i * ENTRY_BYTES, self.format.leaf(frame, height, attributes))
        self._clean(slot, count * ENTRY_BYTES)

    def _link(self, slot: u64, table: Mfn) -> None:
        """Puts a complete table in the place of an absent entry."""
        publish_table()
        self._store(slot, self.format.table(table))

    def _replace(self, slot: u64, entry: u64, start: u64, height: u32, order: u32) -> None:
        """Puts a complete table for a block or the other way round. What stood there mapped nothing smaller than
        2**order frames."""
        if self.format.breaks_before_make():
            self._store(slot, 0)
            self.pending.forget(start, span(height), order)
            self._store(slot, entry)
            self.pending.added(start, span(height), order)
        else:
            publish_table()
            self._store(slot, entry)
            self.pending.changed(start, span(height), order)

    @raises
    def _cut(self, at: u64, frames: u64) -> Place:
        """The entry at `at`, after a block that begins before or ends behind the range has been split."""
        place = self._find(at, 0)
        if not self.format.is_present(place.entry):
            return place
        height = self._largest_leaf(at, frames, place.height)
        if height == place.height:
            return place
        self._reserve(place.height - height)
        self._split_to(at, place, height)
        return self._find(at, 0)

    def _split_to(self, at: u64, block: Place, height: u32) -> None:
        """Replaces a block by tables down to leaves of a height, around `at`. The tables have been reserved."""
        slot = block.slot
        entry = block.entry
        for level in bounded(height, block.height, MAX_HEIGHT):
            above = block.height - (level - height)
            start = at & ~(span(above) - 1)
            attributes = self.format.attributes(entry, above)
            table = self._take_spare()
            self._fill(self.walker.view(table), self.format.target(entry, above), ENTRIES, above - 1, attributes)
            self._replace(slot, self.format.table(table), start, above, above * HEIGHT_BITS)
            slot = self._slot(table, at, above - 1)
            entry = load(slot)

    def _make_block(self, table: Mfn, first: u64, height: u32) -> bool:
        """Whether the table's leaves, of which this is the first, are what one block of the height above would map."""
        if not self.format.has_leaf(height) or not self._leaf_at(first, height - 1):
            return False
        mfn = self.format.target(first, height - 1)
        if mfn & (span(height) - 1) != 0:
            return False
        slot = self.walker.view(table)
        attributes = self.format.attributes(first, height - 1)
        for i in bounded(ENTRIES, MAX_RUN):
            frame = Mfn(mfn + (i << (height - 1) * HEIGHT_BITS))
            if load(slot + i * ENTRY_BYTES) != self.format.leaf(frame, height - 1, attributes):
                return False
        return True

    def _with_access(self, entry: u64, height: u32, access: Access) -> u64:
        old = self.format.attributes(entry, height)
        attributes = Attributes(access=access, memory=old.memory, kind=old.kind)
        return self.format.leaf(self.format.target(entry, height), height, attributes)

    def _prune(self, at: u64, height: u32) -> None:
        """Takes out the tables on the way to `at` that have become empty, from this height upwards."""
        for lower in bounded(height, self.format.top(), MAX_HEIGHT):
            if not self._is_empty(self.path[lower], self._index(at, lower)):
                return
            self._store(self._slot(self.path[lower + 1], at, lower + 1), 0)
            self.pending.removed_table(self.path[lower])

    def _is_empty(self, table: Mfn, index: u64) -> bool:
        """Looks first beside the entry that was cleared: in a table that is not empty there is most often another."""
        start = self.walker.view(table)
        for i in bounded(ENTRIES, MAX_RUN):
            if self.format.is_present(load(start + (index + i & ENTRIES - 1) * ENTRY_BYTES)):
                return False
        return True

    @raises
    def _reserve(self, tables: u32) -> None:
        """Sees to it that so many spare tables are ready. ENOMEM."""
        for _ in bounded(tables - min(tables, self.spare_count), MAX_HEIGHT):
            table = self.source.allocate(0)
            self._clean(self.walker.view(table), PAGE_SIZE)
            self.spare[self.spare_count] = table
            self.spare_count += 1

    def _take_spare(self) -> Mfn:
        self.spare_count -= 1
        return self.spare[self.spare_count]


def span(height: u32) -> u64:
    """Frames that an entry of this height maps."""
    return u64(1) << height * HEIGHT_BITS


def load(slot: u64) -> u64:
    return ptr[u64](slot)[0]
