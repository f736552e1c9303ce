"""What translation tables still owe to their walkers.

A change of tables is done only when its stores are published and what the walker may have cached of the old state is
forgotten; only then may frames that were unmapped, and tables that were taken out, be used for something else.
`Pending` collects that debt. Each operation on tables returns a `Flush`; its owner calls `flush()`, which pays all that
is owed so far. A `Flush` that is dropped where it was made is refused by the compiler; one that is kept and never
flushed trips the assertion in `settled`.
"""

from hv.arch import publish_table
from hv.common.mm.format import Walker
from hv.common.mm.types import Mfn
from hv.lang import Const, Final, Generic, Protocol, TypeVar, array, bounded, must_use, raises, u16, u32, u64, value

W = TypeVar("W", bound=Walker)

MAX_REMOVED: Final[u32] = 16


class TableSource(Protocol):
    """Where tables come from, and who is charged for them."""

    @raises
    def allocate(self, order: u32) -> Mfn:
        """2**order cleared frames in a row, aligned. ENOMEM."""
        ...

    def free(self, mfn: Mfn, order: u32) -> None: ...


class Pending(Generic[W]):
    """One set of tables' debt. The tables' lock protects it."""

    walker: Const[W]
    source: TableSource
    root: Mfn
    tag: u16
    unpublished: bool
    stale: bool  # the walker may have cached old entries for frames start … end - 1
    order: u32  # of the smallest among them
    start: u64
    end: u64
    removed: array[Mfn, MAX_REMOVED]  # tables that the walker may still reach
    removed_count: u32
    tokens: u32  # Flush values that have not been consumed

    def init(self, source: TableSource, root: Mfn, tag: u16) -> None:
        self.source = source
        self.root = root
        self.tag = tag

    def added(self, start: u64, frames: u64, order: u32) -> None:
        """Entries of 2**order frames each that were absent are present now."""
        self.unpublished = True
        if self.walker.caches_absent():
            self.changed(start, frames, order)

    def changed(self, start: u64, frames: u64, order: u32) -> None:
        """Entries of 2**order frames each that were present are different now."""
        self.unpublished = True
        if not self.stale:
            self.stale = True
            self.start = start
            self.end = start + frames
            self.order = order
            return
        self.start = min(self.start, start)
        self.end = max(self.end, start + frames)
        self.order = min(self.order, order)

    def make_way(self, start: u64, frames: u64) -> None:
        """Before something is mapped there: the walker may remember what was there before."""
        if self.stale and start < self.end and self.start < start + frames:
            self.pay()

    def make_room(self, tables: u32) -> None:
        """Before a change that takes out so many tables at most."""
        if self.removed_count + tables > MAX_REMOVED:
            self.pay()

    def removed_table(self, table: Mfn) -> None:
        """A table is no longer linked; the change of the frames it was for has been told."""
        self.removed[self.removed_count] = table
        self.removed_count += 1

    def pay(self) -> None:
        if self.unpublished:
            self.unpublished = False
            publish_table()
        if self.stale:
            self.stale = False
            self.walker.invalidate(self.root, self.tag, self.start, self.end - self.start, self.order)
        for i in bounded(self.removed_count, MAX_REMOVED):
            self.source.free(self.removed[i], 0)
        self.removed_count = 0

    def forget(self, start: u64, frames: u64, order: u32) -> None:
        """Between break and make: one entry has just become absent, behind which nothing smaller than 2**order frames
        was mapped."""
        publish_table()
        self.walker.invalidate(self.root, self.tag, start, frames, order)

    def settled(self) -> None:
        """For where nothing may be owed."""
        assert self.tokens == 0, "a change of translation tables was never flushed"

    def token(self, done: u64) -> "Flush[W]":
        self.tokens += 1
        return Flush[W](self, done)


@must_use
@value
class Flush(Generic[W]):
    """The duty to flush. `done` frames have been worked on, from the first."""

    pending: Pending[W]
    done: u64

    def flush(self) -> None:
        self.pending.tokens -= 1
        self.pending.pay()
