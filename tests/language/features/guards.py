"""with: guards and locks are released on every way out."""

from hv.lang import Errno, Final, array, bounded, embedded, guard, raises, u32, u64, value

trail: u64 = 0


def mark(x: u64) -> None:
    global trail
    trail = trail * 10 + x


@embedded
class Lock:
    held: u32

    def __enter__(self) -> u32:
        self.held += 1
        mark(1)
        return self.held

    def __exit__(self, *_: object) -> None:
        self.held -= 1
        mark(2)


class Masked:
    depth: u32

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        mark(u64(self.depth) + 2)
        self.depth -= 1


@guard
class Allocation:
    order: u32
    kept: bool

    def __enter__(self) -> "Allocation":
        mark(5)
        return self

    def __exit__(self, *_: object) -> None:
        mark(6 if self.kept else 7)

    def keep(self) -> None:
        self.kept = True


lock: Final = Lock()
masked: Final = Masked()


@raises
def allocated(order: u32) -> Allocation:
    if order > 10:
        raise Errno.ENOMEM
    mark(4)
    return Allocation(order, kept=False)


def plain(order: u32) -> Allocation:
    return Allocation(order, order > 3)


def test_released_at_the_end() -> u64:
    with lock:
        mark(9)
    return trail * 10 + u64(lock.held)


def test_value_of_the_lock() -> u64:
    with lock as depth:
        return u64(depth) * 100 + trail


def test_return_inside() -> u64:
    def_trail = returning(2)
    return def_trail * 1000 + trail


def returning(n: u64) -> u64:
    with lock:
        with masked:
            if n == 2:
                return trail * n
            mark(8)
    return 5


def test_several_items() -> u64:
    with lock, masked:
        mark(9)
    return trail


def test_break_and_continue() -> u64:
    for i in range(4):
        with lock:
            if i == 1:
                continue
            if i == 3:
                break
            mark(u64(i) + 7)
        mark(9)
    return trail


def test_error_leaves() -> u64:
    try:
        failing(20)
    except Errno as e:
        mark(u64(u32(e.code)) % 10)
    return trail


@raises
def failing(order: u32) -> None:
    with lock:
        with allocated(1) as a:
            with allocated(order) as b:
                b.keep()
            a.keep()
    mark(9)


def test_error_handled_inside() -> u64:
    with lock:
        try:
            failing(11)
        except Errno as e:
            mark(u64(u32(e.code)) % 10)
        mark(8)
    return trail


def test_guard_kept() -> u64:
    with plain(2) as a:
        a.keep()
        order = a.order
    return trail * 10 + u64(order)


def test_guard_not_kept() -> u64:
    with plain(1) as a:
        mark(u64(a.order))
    with plain(4):
        mark(8)
    return trail


def test_nested_in_loops() -> u64:
    total: u64 = 0
    for i in bounded(u32(3), 5):
        with plain(i) as a:
            for j in bounded(i, 5):
                if j == 1:
                    break
                with lock:
                    total += u64(a.order)
    return trail + total


@value
class Result:
    ok: bool
    n: u64


def computed() -> Result:
    with lock:
        return Result(lock.held == 1, trail)


def test_result_is_computed_before_the_release() -> u64:
    found = computed()
    return u64(found.ok) + found.n * 10 + trail * 100


@embedded
class Numbered:
    id: u64

    def __enter__(self) -> None:
        mark(self.id)

    def __exit__(self, *_: object) -> None:
        mark(self.id + 1)


class Pool:
    lock: Numbered


pools: Final[array[Pool, 2]] = array()


def test_what_was_entered_is_left() -> u64:
    pools[0].lock.id = 1
    pools[1].lock.id = 5
    pool = pools[0]
    which: u32 = 0
    held = pool.lock
    with pool.lock:
        pool = pools[1]
    with pools[which].lock:
        which = 1
    with held:
        held = pool.lock
    return trail
