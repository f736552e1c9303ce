# refuse: 14: is wanted
from hv.lang import Callable, Final, Registry, u32, value


@value
class Option:
    name: str
    apply: Callable[[str], None]


options: Final = Registry[Option]()


@options.entry(name="a")
def f(value: u32) -> None:
    pass
