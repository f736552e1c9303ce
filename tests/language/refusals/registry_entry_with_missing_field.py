# refuse: 14: the entry needs `name`
from hv.lang import Callable, Final, Registry, value


@value
class Option:
    name: str
    apply: Callable[[str], None]


options: Final = Registry[Option]()


@options.entry()
def f(value: str) -> None:
    pass
