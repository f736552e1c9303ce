# refuse: 18: `held` is the loop's or the with statement's own: use another name
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
        held += 1
