"""Extensions: classes laid into another, set up and torn down with it."""

from hv.lang import (
    Errno,
    Extension,
    Final,
    extensible,
    init_extensions,
    raises,
    step_extensions,
    teardown_extensions,
    u32,
    u64,
)

trail: u64 = 0


def mark(x: u64) -> None:
    global trail
    trail = trail * 10 + x


@extensible
class Domain:
    id: u32
    fail: u32


@extensible
class Quiet:
    id: u32


class Events(Extension[Domain]):
    ports: u32

    def init(self, owner: Domain) -> None:
        self.ports = owner.id * 2
        mark(1)

    def teardown_step(self, owner: Domain) -> bool:
        if self.ports == 0:
            return True
        self.ports -= 1
        mark(6)
        return False

    def teardown(self, owner: Domain) -> None:
        self.ports = 0
        mark(2)


class Grants(Extension[Domain]):
    frames: u64

    @raises
    def init(self, owner: Domain) -> None:
        mark(3)
        if owner.fail == 1:
            raise Errno.ENOMEM
        self.frames = 9

    def teardown_step(self, owner: Domain) -> bool:
        if self.frames > 0:
            self.frames //= 2
            mark(7)
        return self.frames == 0

    def teardown(self, owner: Domain) -> None:
        mark(4)


class Passive(Extension[Domain]):
    count: u32


class Timers(Extension[Domain]):
    armed: bool

    @raises
    def init(self, owner: Domain) -> None:
        mark(5)
        if owner.fail == 2:
            raise Errno.EBUSY

    def teardown(self, owner: Domain) -> None:
        mark(6)


class Whisper(Extension[Quiet]):
    words: u32


first: Final = Domain()
second: Final = Domain()
quiet: Final = Quiet()


@raises
def start(domain: Domain) -> u32:
    init_extensions(domain)
    return Events.of(domain).ports


def test_each_owner_has_its_own() -> u64:
    Passive.of(first).count = 4
    Passive.of(second).count = 5
    Events.of(first).ports = 6
    return u64(Passive.of(first).count) * 100 + u64(Passive.of(second).count) * 10 + u64(Events.of(second).ports)


def test_set_up_in_order() -> u64:
    first.id = 21
    first.fail = 0
    try:
        ports = start(first)
        return trail * 1000 + u64(ports) + Grants.of(first).frames
    except Errno:
        return 0


def test_torn_down_in_reverse() -> u64:
    teardown_extensions(first)
    return trail


def test_failure_of_the_second() -> u64:
    first.fail = 1
    try:
        return u64(start(first))
    except Errno as e:
        return trail * 100 + u64(u32(e.code))


def test_failure_of_the_last() -> u64:
    second.fail = 2
    try:
        return u64(start(second))
    except Errno as e:
        return trail * 100 + u64(u32(e.code))


def test_without_methods() -> u64:
    init_extensions(quiet)
    Whisper.of(quiet).words = 3
    teardown_extensions(quiet)
    return u64(Whisper.of(quiet).words)


def test_on_the_stack() -> u64:
    domain = Domain()
    domain.id = 8
    Passive.of(domain).count = 2
    return u64(Passive.of(domain).count) + u64(Events.of(domain).ports)


def calc_torn_down_in_steps(id: u32) -> u64:
    domain = Domain()
    domain.id = id % 4
    try:
        init_extensions(domain)
    except Errno:
        return 0
    for _ in range(20):
        if step_extensions(domain):
            teardown_extensions(domain)
            return trail
        mark(8)
    return trail
