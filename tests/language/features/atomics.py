"""Atomics, as one thread sees them."""

from hv.lang import Atomic, Final, array, i32, u8, u16, u32, u64


class Node:
    number: u64


class Slots:
    first: Atomic[Node | None]
    more: array[Atomic[Node | None], 3]


class Lock:
    next: Atomic[u32]
    serving: Atomic[u8]
    ready: Atomic[bool]


lock: Final = Lock()
slots: Final = Slots()
one: Final = Node()
two: Final = Node()
counter: Final = Atomic[u64]()
many: Final[array[Atomic[u16], 4]] = array()
signed: Final = Atomic[i32]()


def test_loads_and_stores() -> u64:
    lock.next.store(5)
    a = lock.next.load()
    lock.next.store_release(a + 1)
    b = lock.next.load_acquire()
    lock.next.store_relaxed(b + 1)
    return u64(a) * 100 + u64(b) * 10 + u64(lock.next.load_relaxed())


def test_returns_the_old_value() -> u64:
    counter.store(10)
    total = counter.add(5)
    total = total * 100 + counter.sub(1)
    total = total * 100 + counter.or_(0x21)
    total = total * 100 + counter.and_(0x2F)
    total = total * 100 + counter.exchange(3)
    return total * 100 + counter.load()


def test_wraps() -> u64:
    lock.serving.store(250)
    before = lock.serving.add(10)
    after = lock.serving.sub(20)
    return u64(before) * 1000_000 + u64(after) * 1000 + u64(lock.serving.load())


def test_signed_wraps() -> u64:
    signed.store(0x7FFF_FFFF)
    signed.add(1)
    return u64(signed.load() < 0)


def test_compare_exchange() -> u64:
    counter.store(7)
    failed = counter.compare_exchange(8, 9)
    done = counter.compare_exchange(7, 0xFFFF_FFFF_FFFF)
    return u64(failed) + u64(done) * 2 + counter.load() * 10


def test_bool() -> u64:
    before = lock.ready.exchange(True)
    return u64(before) + u64(lock.ready.load()) * 2


def test_elements() -> u64:
    many[2].add(65_535)
    many[2].add(3)
    return u64(many[2].load()) * 10 + u64(many[1].load())


def calc_add(a: u8, b: u8) -> u64:
    lock.serving.store(a)
    return u64(lock.serving.add(b)) * 1000 + u64(lock.serving.load())


def calc_index(i: u32) -> u64:
    many[i].store(7)
    return u64(many[i].load())


def number_of(node: Node | None) -> u64:
    return 0 if node is None else node.number


def test_references() -> u64:
    one.number = 1
    two.number = 2
    total = number_of(slots.first.load())
    slots.first.store_release(one)
    total = total * 10 + number_of(slots.first.load_acquire())
    total = total * 10 + number_of(slots.first.exchange(two))
    total = total * 10 + number_of(slots.first.load_relaxed())
    failed = slots.first.compare_exchange(one, None)
    done = slots.first.compare_exchange(two, None)
    total = total * 100 + u64(failed) * 10 + u64(done)
    return total * 10 + u64(slots.first.load() is None)


def test_array_of_references() -> u64:
    one.number = 3
    slots.more[1].store(one)
    total: u64 = 0
    for i in range(3):
        found = slots.more[i].load()
        if found is not None:
            total += found.number << i
    slots.more[1].store(None)
    return total + u64(slots.more[1].load() is None) * 100
