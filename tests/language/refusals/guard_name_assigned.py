# refuse: 18: is the loop's or the with statement's own
from hv.lang import guard, u32


@guard
class Held:
    id: u32

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def f() -> None:
    with Held(1) as held:
        held = Held(2)
