# refuse: 8: an iterator returns nothing
from hv.lang import Iterator, u32


class Numbers:
    def all(self) -> Iterator[u32]:
        yield 1
        return 5


def f(numbers: Numbers) -> None:
    for n in numbers.all():
        pass
