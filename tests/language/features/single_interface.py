"""An interface with one implementation: the calls are direct."""

from hv.lang import Final, Protocol, u32, u64


class Clock(Protocol):
    def now(self) -> u64: ...

    def advance(self, by: u64 = 10) -> None: ...


class Counter(Clock):
    ticks: u64

    def now(self) -> u64:
        return self.ticks

    def advance(self, by: u64 = 10) -> None:
        self.ticks += by


class Machine:
    clock: Clock
    ready: u32


counter: Final = Counter()
machine: Final = Machine()


def elapsed(clock: Clock) -> u64:
    before = clock.now()
    clock.advance()
    clock.advance(by=3)
    return clock.now() - before


def test_direct() -> u64:
    machine.clock = counter
    counter.ticks = 100
    return elapsed(machine.clock) * 1000 + counter.now()


def test_null() -> u64:
    clock: Clock | None = None
    before = clock is None
    clock = counter
    return u64(before) + clock.now()
