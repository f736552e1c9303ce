"""Errno: raised, propagated, handled."""

from hv.lang import Errno, Final, bounded, i32, raises, u8, u32, u64

trail: u64 = 0


class Pool:
    used: u32

    @raises
    def take(self, n: u32) -> u32:
        if n == 0:
            raise Errno.EINVAL
        if n > 10:
            raise Errno.ENOMEM
        self.used += n
        return self.used

    @property
    @raises
    def first(self) -> u32:
        if self.used == 0:
            raise Errno.ENOENT
        return self.used


pool: Final = Pool()


@raises
def nothing(fail: bool) -> None:
    if fail:
        raise Errno.ESRCH


@raises
def propagated(a: u32, b: u32) -> u32:
    nothing(False)
    return pool.take(a) * 100 + pool.take(b)


@raises
def translated(n: u32) -> u32:
    try:
        return pool.take(n)
    except Errno as e:
        if e is Errno.ENOMEM:
            raise Errno.EAGAIN
        raise


@raises
def cleaned(n: u32) -> u32:
    pool.used += 1
    try:
        made = pool.take(n)
    except Errno:
        pool.used -= 1
        raise
    return made


def code_of(n: u32) -> i32:
    try:
        return i32(translated(n))
    except Errno as e:
        return -e.code


def test_success() -> u64:
    try:
        return u64(propagated(1, 2))
    except Errno:
        return 0


def test_codes() -> u64:
    return u64(u32(-code_of(0))) * 1000 + u64(u32(-code_of(11))) + u64(u32(code_of(3))) * 1_000_000


def test_stops_at_the_first() -> u64:
    total: u64 = 0
    try:
        total += u64(propagated(5, 0))
        total += 1000
    except Errno as e:
        total += u64(u32(e.code))
    return total * 100 + u64(pool.used)


def test_names() -> u64:
    try:
        nothing(True)
    except Errno as e:
        return len(e.name) * 256 + u64(ord(e.name[0])) + u64(e is Errno.ESRCH) * 0x1_0000
    return 0


def test_not_identical() -> u64:
    try:
        nothing(True)
    except Errno as e:
        return u64(e is not Errno.ESRCH) + u64(e is not Errno.EPERM) * 2
    return 0


def test_handler_goes_on() -> u64:
    handled: u64 = 0
    for i in range(13):
        try:
            pool.take(i)
        except Errno as e:
            handled = handled * 100 + u64(u32(e.code))
            continue
        if i == 3:
            break
    return handled * 10 + u64(pool.used)


def test_raised_again() -> u64:
    pool.used = 4
    try:
        return u64(cleaned(99))
    except Errno as e:
        return u64(pool.used) * 100 + u64(u32(e.code))


def test_nested_tries() -> u64:
    total: u64 = 0
    try:
        try:
            pool.take(0)
        except Errno as inner:
            total += u64(u32(inner.code))
            pool.take(50)
        total += 10_000
    except Errno as outer:
        total += u64(u32(outer.code)) * 100
    return total


def test_raised_and_handled_here() -> u64:
    try:
        if pool.used == 0:
            raise Errno.EPERM
        return 5
    except Errno as e:
        return u64(u32(e.code)) + 10


def test_raising_property() -> u64:
    total: u64 = 0
    try:
        total = u64(pool.first)
    except Errno as e:
        total = u64(u32(e.code)) * 10
    pool.used = 3
    try:
        total += u64(pool.first)
    except Errno:
        total = 0
    return total


def test_in_a_loop_with_return() -> u64:
    for i in bounded(u32(5), 5):
        try:
            nothing(i == 2)
        except Errno:
            return u64(i) + 100
    return 0


def test_in_conditions() -> u64:
    found: u64 = 0
    try:
        if (pool.take(2) == 2 and pool.take(3) == 5) or pool.take(0) == 0:
            found = 1
        found += u64(pool.take(1)) if found == 1 else u64(pool.take(0))
    except Errno:
        found = 99
    return found


def calc_code(n: u32) -> i32:
    return code_of(n)


def calc_translated(a: u8, b: u8) -> u64:
    try:
        return u64(propagated(u32(a), u32(b)))
    except Errno as e:
        return u64(pool.used) * 1000 + u64(u32(e.code)) * 100_000
