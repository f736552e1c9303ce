# refuse: 15: Held in a tuple: it holds values and references
from hv.lang import guard, u32


@guard
class Held:
    id: u32

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def f(n: u32) -> None:
    x = (n, Held(1))
