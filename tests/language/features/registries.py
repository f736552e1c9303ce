"""Registries: constant tables that decorated functions fill, in the order of module names and lines."""

from hv.lang import Callable, Final, Registry, U8Enum, u8, u64, value
from tests.language.features.registry_parts import options, parsed


class Level(U8Enum):
    EARLY = 1
    LATE = 2


@value
class Handler:
    reason: u8
    level: Level
    run: Callable[[u64], u64]


handlers: Final = Registry[Handler]()
nothing: Final = Registry[Handler]()


@options.entry(name="zeta", order=9)
def zeta(value: str) -> None:
    parsed.total = parsed.total * 10 + 9


@handlers.entry(reason=7, level=Level.LATE)
def seventh(x: u64) -> u64:
    return x + 7


@options.entry(order=2, name="beta")
def beta(value: str) -> None:
    parsed.total = parsed.total * 10 + len(value)


@handlers.entry(reason=200, level=Level.EARLY)
def other(x: u64) -> u64:
    return x * 3


def run(reason: u8, x: u64) -> u64:
    for handler in handlers:
        if handler.reason == reason:
            return handler.run(x)
    return 0


def test_found_by_field() -> u64:
    return run(7, 100) * 1000 + run(200, 100) + run(1, 100)


def test_order() -> u64:
    order: u64 = 0
    for option in options:
        order = order * 10 + u64(option.order)
    return order


def test_entries_of_several_modules() -> u64:
    for option in options:
        option.apply(option.name)
    return parsed.total


def test_numbered() -> u64:
    total: u64 = 0
    for i, handler in enumerate(handlers):
        total += u64(i) * 100 + u64(handler.level)
    return total


def test_number_of_entries() -> u64:
    n: u64 = len(options)
    return n * 10 + len(handlers)


def test_empty() -> u64:
    total: u64 = 0
    for handler in nothing:
        total += handler.run(1)
    return total


def calc_run(reason: u8, x: u64) -> u64:
    return run(reason, x)
