# refuse: 14: has no field `order`
from hv.lang import Callable, Final, Registry, value


@value
class Option:
    name: str
    apply: Callable[[str], None]


options: Final = Registry[Option]()


@options.entry(name="a", order=1)
def f(value: str) -> None:
    pass
