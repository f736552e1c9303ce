# refuse: 6: exactly one `yield`
from hv.lang import Iterator, u32


class Numbers:
    def all(self) -> Iterator[u32]:
        yield 1
        yield 2


def f(numbers: Numbers) -> None:
    for n in numbers.all():
        pass
