# refuse: 11: an iterator is no value: loop over it with `for`
from hv.lang import Iterator, u32


class Numbers:
    def all(self) -> Iterator[u32]:
        yield 1


def f(numbers: Numbers) -> None:
    x = numbers.all()
