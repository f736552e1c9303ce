"""A registry that another module fills too, and entries of this module, whose name stands before that one's."""

from hv.lang import Callable, Final, Registry, u8, u64, value


@value
class Option:
    name: str
    order: u8
    apply: Callable[[str], None]


class Parsed:
    total: u64


options: Final = Registry[Option]()
parsed: Final = Parsed()


@options.entry(name="alpha", order=1)
def alpha(value: str) -> None:
    parsed.total = parsed.total * 10 + len(value)


def test_own_entries() -> u64:
    for option in options:
        option.apply(option.name[1:])
    return parsed.total
