"""An ordered queue of objects that carry their own links: insertion by key, first in first out among equals.

It allocates nothing. An object takes part through an embedded `Link` that names its owner, so one object may
be on several queues by several links, and on each at most once. The caller's lock protects a queue and the links on it.
"""

from hv.lang import Generic, Iterator, TypeVar, embedded, i64, u32, unbounded

T = TypeVar("T")


@embedded
class Link(Generic[T]):
    """An object's place in one queue."""

    owner: T
    next: "Link[T] | None"
    previous: "Link[T] | None"
    key: i64
    queued: bool

    def init(self, owner: T) -> None:
        self.owner = owner


@embedded
class OrderedQueue(Generic[T]):
    """Lowest key first."""

    first: Link[T] | None
    last: Link[T] | None
    length: u32

    def head(self) -> T | None:
        first = self.first
        return None if first is None else first.owner

    @unbounded("walks back over the links with a greater key, of which there are at most `length`")
    def insert(self, link: Link[T], key: i64) -> None:
        """Puts the link behind every link whose key is not greater: short when keys mostly grow."""
        assert not link.queued, "link is already on a queue"
        before = self.last
        while before is not None and before.key > key:
            before = before.previous
        link.key = key
        link.previous = before
        link.next = self.first if before is None else before.next
        self._join(link.previous, link)
        self._join(link, link.next)
        link.queued = True
        self.length += 1

    def append(self, link: Link[T]) -> None:
        """Puts the link last, with the key of the last."""
        last = self.last
        self.insert(link, 0 if last is None else last.key)

    def remove(self, link: Link[T]) -> None:
        assert link.queued, "link is on no queue"
        self._join(link.previous, link.next)
        link.previous = None
        link.next = None
        link.queued = False
        self.length -= 1

    def pop(self) -> T | None:
        """Takes the first object off."""
        first = self.first
        if first is None:
            return None
        self.remove(first)
        return first.owner

    def take_all(self, other: "OrderedQueue[T]") -> None:
        """What the other holds comes behind what is here; no key there is below the last one here."""
        first = other.first
        if first is None:
            return
        last = self.last
        assert last is None or first.key >= last.key, "queues are joined out of order"
        self._join(last, first)
        self.last = other.last
        self.length += other.length
        other.first = None
        other.last = None
        other.length = 0

    @unbounded("ends with the queue")
    def __iter__(self) -> Iterator[T]:
        """In order; the object at hand may be removed meanwhile, others not."""
        link = self.first
        while link is not None:
            after = link.next
            yield link.owner
            link = after

    def _join(self, before: Link[T] | None, after: Link[T] | None) -> None:
        """Makes the two neighbours; None stands for the queue's end on that side."""
        if before is None:
            self.first = after
        else:
            before.next = after
        if after is None:
            self.last = before
        else:
            after.previous = before
