# refuse: 11: an iterator is used by `for` alone
from hv.lang import Iterator, u32


class Numbers:
    def all(self) -> Iterator[u32]:
        yield 1


def f(numbers: Numbers) -> None:
    x = numbers.all()
