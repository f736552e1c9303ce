"""A first-in first-out buffer of fixed size.

`Ring[T, N]` holds up to N items; N is a power of two. The indices run freely and wrap with their width, so that full
and empty differ. The caller's lock protects it.
"""

from hv.lang import Const, Generic, TypeVar, array, embedded, u32

T = TypeVar("T")
N = TypeVar("N", bound=int)


@embedded
class Ring(Generic[T, N]):
    capacity: Const[N]
    items: array[T, N]
    taken: u32
    added: u32

    def __len__(self) -> u32:
        return self.added - self.taken

    @property
    def empty(self) -> bool:
        return self.added == self.taken

    @property
    def full(self) -> bool:
        return self.added - self.taken == self.capacity

    def put(self, item: T) -> bool:
        """False when there is no room: the item is dropped."""
        assert self.capacity & self.capacity - 1 == 0, "a ring's capacity is a power of two"
        if self.full:
            return False
        self.items[self.added % self.capacity] = item
        self.added += 1
        return True

    def get(self) -> T:
        """Takes the oldest. The ring must not be empty."""
        assert not self.empty, "item taken from an empty ring"
        item = self.items[self.taken % self.capacity]
        self.taken += 1
        return item

    def clear(self) -> None:
        self.taken = self.added
