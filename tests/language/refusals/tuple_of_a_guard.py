# refuse: 15: belongs to a `with` statement: it lies in no tuple
from hv.lang import guard, u32


@guard
class Held:
    id: u32

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...



def f() -> tuple[u32, Held]:
    return 1, Held(1)
