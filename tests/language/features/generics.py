"""Generic classes: one copy per argument."""

from hv.lang import Const, Final, Generic, TypeVar, U8Enum, array, embedded, i64, size_of, u8, u16, u32, u64, value


class Rank(U8Enum):
    LOW = 1
    HIGH = 9


T = TypeVar("T")
K = TypeVar("K")
R = TypeVar("R", bound=Rank)
N = TypeVar("N", bound=int)

DEPTH: Final = 3
WIDE: Final[u32] = 5


@embedded
class Stack(Generic[T, N]):
    capacity: Const[N]
    items: array[T, N]
    used: u32

    def push(self, item: T) -> bool:
        if self.used == self.capacity:
            return False
        self.items[self.used] = item
        self.used += 1
        return True

    def pop(self) -> T:
        self.used -= 1
        return self.items[self.used]

    @property
    def room(self) -> u32:
        return self.capacity - self.used

    def bytes(self) -> u64:
        return size_of(T) * u64(self.capacity)


@value
class Held(Generic[R]):
    rank: Const[R]


@embedded
class Lock(Generic[R]):
    rank: Const[R]
    taken: u32

    def __enter__(self) -> Held[R]:
        self.taken += u32(self.rank)
        return Held[R]()

    def __exit__(self, *_: object) -> None:
        self.taken += 100


@embedded
class Cell(Generic[T]):
    value: T

    def swap(self, other: "Cell[T]") -> None:
        kept = self.value
        self.value = other.value
        other.value = kept


class Node:
    id: u32


class Link(Generic[T]):
    owner: T
    next: "Link[T] | None"


@embedded
class Both(Generic[K, T]):
    key: Cell[K]
    value: Cell[T]


class Owner:
    bytes: Stack[u8, 4]
    words: Stack[u16, DEPTH]
    longs: Stack[i64, WIDE]
    nodes: Stack[Node | None, 2]
    low: Lock[Rank.LOW]


owner: Final = Owner()
high: Final = Lock[Rank.HIGH]()
ring: Final = Stack[u8, 2]()
node: Final = Node()
link: Final = Link[Node]()
both: Final = Both[u8, u64]()
other: Final = Cell[u64]()


def needs_low(held: Held[Rank.LOW]) -> u64:
    return u64(held.rank)


def test_each_copy_has_its_width() -> u64:
    owner.bytes.push(255)
    owner.words.push(65535)
    owner.longs.push(-1)
    return u64(owner.bytes.pop() + 1) + u64(owner.words.pop() + 2) + u64(owner.longs.pop() + 3)


def test_capacities() -> u64:
    return (
        u64(owner.bytes.capacity) + u64(owner.words.room) * 10 + u64(owner.longs.capacity) * 100 + u64(ring.room) * 1000
    )


def test_full() -> u64:
    pushed: u64 = 0
    for i in range(4):
        if ring.push(u8(i)):
            pushed += 1
    return pushed * 100 + u64(ring.pop()) * 10 + u64(ring.used)


def test_references() -> u64:
    node.id = 6
    owner.nodes.push(node)
    owner.nodes.push(None)
    nothing = owner.nodes.pop()
    found = owner.nodes.pop()
    if found is None:
        return 0
    return u64(found.id) + u64(nothing is None) * 10


def test_sizes_of_parameters() -> u64:
    return (
        owner.bytes.bytes() + owner.words.bytes() * 100 + owner.longs.bytes() * 10_000 + owner.nodes.bytes() * 1_000_000
    )


def test_constant_parameters() -> u64:
    total: u64 = 0
    with owner.low as held:
        total += needs_low(held)
    with high:
        total += 10
    return total * 10_000 + u64(owner.low.taken) * 1000 + u64(high.taken)


def test_links() -> u64:
    link.owner = node
    link.owner.id = 12
    link.next = link
    following = link.next
    return 0 if following is None else u64(following.owner.id)


def test_several_parameters() -> u64:
    both.key.value = 200
    both.key.value += 100
    both.value.value = 1 << 40
    other.value = 3
    both.value.swap(other)
    return u64(both.key.value) * 10 + both.value.value + other.value


def trap_index_at_the_copys_length() -> u64:
    ring.used = 2
    ring.items[ring.used] = 1
    return u64(ring.used)
