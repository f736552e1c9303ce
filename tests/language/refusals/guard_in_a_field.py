# refuse: 17: belongs to a `with` statement
from hv.lang import guard, u32


@guard
class Held:
    id: u32

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


class Node:
    held: Held
