"""A domain's physical map, as part of the domain: `DomainMemory.of(domain).p2m`."""

from hv.arch import flush_guest
from hv.common.mm.heap import Block, heap
from hv.common.mm.p2m import GuestKind, P2m
from hv.common.mm.types import Gfn
from hv.common.model.domain import Domain
from hv.config import CONFIG_LLC_COLORING
from hv.lang import Atomic, Embedded, Errno, Extension, Final, raises, u32, u64, unbounded

if CONFIG_LLC_COLORING:
    from hv.common.mm.colored import allocate_colored
    from hv.common.mm.coloring import coloring

FRAMES_PER_TABLE: Final = 512
SPARE_TABLES: Final = 16  # the root, and tables of the upper levels


class DomainMemory(Extension[Domain]):
    p2m: Embedded[P2m]
    held: Atomic[u64]  # frames of memory that count as the domain's, up to `config.frames`
    emptied: bool
    next_color: u32  # that its next frame has, or the first behind it that is the domain's

    @raises
    def init(self, owner: Domain) -> None:
        """ENOMEM."""
        self.p2m.init(owner.id, owner.vmid, table_limit(owner.config.frames) + owner.config.map_tables)
        flush_guest(self.p2m.root, owner.vmid)  # of whoever had the number before
        self.held.store(owner.config.frames)

    def teardown(self, owner: Domain) -> None:
        """A map that holds memory has been emptied in steps before."""
        for _ in range(LAST_STEPS):
            if self.empty_step():
                break
        assert self.emptied, "a domain goes that still has memory"

    @property
    def frames(self) -> u64:
        return self.held.load_relaxed()

    @unbounded("a compare and exchange fails only when another CPU's succeeds")
    def claim(self, owner: Domain, frames: u64) -> bool:
        """For frames that it is about to get. False: it would have more than it may."""
        while True:
            held = self.held.load_relaxed()
            if held > owner.config.frames or frames > owner.config.frames - held:
                return False
            if self.held.compare_exchange(held, held + frames):
                return True

    @raises
    def remove(self, gfn: Gfn, frames: u64) -> u64:
        """Takes frames out of the map, up to the end of the leaf that maps the first. Returns how many. ENOENT: nothing
        is mapped there. EINVAL: no frames. ENOMEM: no memory for the tables of a split.
        """
        flush = self.p2m.remove(gfn, frames)
        flush.flush()
        if flush.kind == GuestKind.RAM:
            self.held.sub(flush.done)
        return flush.done

    @raises
    @unbounded("each step adds frames")
    def populate(self, owner: Domain, gfn: Gfn, frames: u64) -> None:
        """Gives the domain cleared memory at a place where nothing is. ENOSPC: it has as much as it may. EEXIST:
        something is mapped there. EINVAL: beyond the map. ENOMEM. Then nothing has changed.
        """
        if not self.claim(owner, frames):
            raise Errno.ENOSPC
        done: u64 = 0
        try:
            while done < frames:
                done += self._add(owner, Gfn(gfn + done), frames - done)
        except Errno:
            self.held.sub(frames - done)
            self._take_back(gfn, done)
            raise

    @raises
    def _add(self, owner: Domain, gfn: Gfn, frames: u64) -> u64:
        """A domain whose memory is set aside gets what it had at that place, and nothing elsewhere."""
        own = owner.config.set_aside
        if own is not None:
            return self.p2m.put_back(gfn, own.behind(gfn))
        if CONFIG_LLC_COLORING and owner.config.colors is not None:
            self.p2m.put_new(gfn, self.take_block(owner, 0))
            return 1
        return self.p2m.populate(gfn, frames)

    @raises
    def take_block(self, owner: Domain, largest: u32) -> Block:
        """The largest block of the heap, of this order at most, that the domain may have. Its contents are undefined,
        and it is nobody's. One that has colours gets frames of each in turn. ENOMEM."""
        if CONFIG_LLC_COLORING:
            colors = owner.config.colors
            if colors is not None:
                mfn = allocate_colored(colors, self.next_color, self.p2m.tables.node)
                self.next_color = coloring.of(mfn) + 1
                return Block(mfn, 0)
        return heap.largest_near(largest, self.p2m.tables.node)

    @unbounded("each step takes frames, or ends it")
    def _take_back(self, gfn: Gfn, frames: u64) -> None:
        """Frames that have just been added. The guest may have been quicker: what it has taken is gone already."""
        at: u64 = 0
        while at < frames:
            try:
                at += self.remove(Gfn(gfn + at), frames - at)
            except Errno:
                at += 1

    def empty_step(self) -> bool:
        """Takes down some of the map of a domain that runs no more. True: nothing is left."""
        if not self.emptied:
            self.emptied = self.p2m.teardown_step()
        return self.emptied


LAST_STEPS: Final = 64


def table_limit(frames: u64) -> u32:
    """Frames that the tables of so much memory may take: enough for a map of single frames, in two banks."""
    lowest = frames // FRAMES_PER_TABLE + 2
    return u32(lowest + lowest // FRAMES_PER_TABLE + SPARE_TABLES)
