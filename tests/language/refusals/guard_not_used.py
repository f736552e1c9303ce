# refuse: 21: has to be used
from hv.lang import guard, u32


@guard
class Held:
    id: u32

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def g() -> Held:
    return Held(1)


def f() -> None:
    g()
