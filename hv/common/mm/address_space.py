"""The hypervisor's own address space: what stands at fixed places, and windows at addresses that are handed out.

What is mapped at a fixed place (the image, stacks, RAM) is mapped and unmapped by address. The region of the windows
gives places for devices' registers and whatever else is looked at for a while; each window has unmapped pages around
it. Nothing of either is reused, neither addresses nor tables, before no CPU can use what was there: entries are taken
out, all CPUs forget them, and then tables and addresses are free.

Ranges are mapped and unmapped whole, so no block is ever split: what the hypervisor runs on is never absent in between.

`AddressSpace.lock` is held for one run of entries at a time (up to 512), and for its flush. A CPU that waits for the
lock answers what others ask it to forget.
"""

from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import SpinLock
from hv.common.mm.flush import TableSource
from hv.common.mm.format import Attributes, Format, Walker
from hv.common.mm.pagetable import Mapping, PageTable
from hv.common.mm.physical import Windows
from hv.common.mm.ranges import PageRanges
from hv.common.mm.types import PAGE_SHIFT, PAGE_SIZE, Mfn, Paddr, frames_in, mfn_of, paddr_of
from hv.lang import Const, Embedded, Errno, Final, Generic, TypeVar, raises, u64, unbounded

F = TypeVar("F", bound=Format)
W = TypeVar("W", bound=Walker)

BLOCK_PAGES: Final[u64] = 512  # of the smallest block


class AddressSpace(Generic[F, W], Windows):
    format: Const[F]
    lock: SpinLock[Rank.ADDRESS_SPACE]
    tables: Embedded[PageTable[F, W]]
    windows: Embedded[PageRanges]
    start: u64  # address of the windows' region
    limit: Paddr  # physical addresses are below

    @raises
    def init(self, source: TableSource, start: u64, end: u64, limit: Paddr) -> None:
        """Nothing is mapped. Addresses start … end - 1 are for windows; `limit` is where the machine's physical memory
        must end. ENOMEM."""
        self.tables.init(source, 0)
        self.start = start
        self.limit = limit
        self.windows.init(self._page(start), self._page(end))

    @property
    def root(self) -> Paddr:
        return paddr_of(self.tables.root)

    # Fixed places, in whole pages

    @raises
    def place(self, address: u64, start: Paddr, length: u64, attributes: Attributes) -> None:
        """Maps physical memory from `start` at an address. EEXIST: something is mapped there. ENOMEM: no tables are
        left. Then nothing has changed."""
        at = self._page(address)
        frames = length >> PAGE_SHIFT
        assert not self.windows.overlaps(at, frames), "a fixed place among the windows"
        self._map(at, mfn_of(start), frames, attributes)

    def remove(self, address: u64, length: u64) -> None:
        """Unmaps what `place` has mapped, all of it."""
        self._unmap(self._page(address), length >> PAGE_SHIFT)

    def lookup(self, address: u64) -> Mapping:
        """What is at an address."""
        with self.lock:
            return self.tables.lookup(self._page(address))

    # Windows

    @raises
    def map(self, start: Paddr, length: u64, attributes: Attributes) -> u64:
        if length == 0 or start >= self.limit or length > self.limit - start:
            raise Errno.EINVAL
        frames = frames_in(start % PAGE_SIZE + length)
        alignment = BLOCK_PAGES if frames >= BLOCK_PAGES else 1  # so that blocks fit
        with self.lock:
            at = self.windows.take(frames, mfn_of(start), alignment)
        try:
            self._map(at, mfn_of(start), frames, attributes)
        except Errno:
            with self.lock:
                self.windows.give_back(at)
            raise
        return self.start + (at - self.windows.first << PAGE_SHIFT) + start % PAGE_SIZE

    def unmap(self, address: u64) -> None:
        at = self._page(address)
        with self.lock:
            frames = self.windows.leave(at)
        self._unmap(at, frames)
        with self.lock:
            self.windows.give_back(at)

    def _page(self, address: u64) -> u64:
        """Its number, without the bits that only repeat an address's sign."""
        return address >> PAGE_SHIFT & (self.format.limit() - 1)

    @raises
    @unbounded("each step maps some of what is left")
    def _map(self, at: u64, mfn: Mfn, frames: u64, attributes: Attributes) -> None:
        done: u64 = 0
        while done != frames:
            try:
                with self.lock:
                    flush = self.tables.map(at + done, Mfn(mfn + done), frames - done, attributes)
                    flush.flush()
                    done += flush.done
            except Errno:
                self._unmap(at, done)
                raise

    @unbounded("each step unmaps some of what is left")
    def _unmap(self, at: u64, frames: u64) -> None:
        done: u64 = 0
        whole = True
        while done != frames:
            try:
                with self.lock:
                    flush = self.tables.unmap(at + done, frames - done)
                    flush.flush()
                    done += flush.done
            except Errno:
                whole = False
            assert whole, "a part of a mapping of the hypervisor's is unmapped"
