# refuse: 7: would be expanded inside itself
from hv.lang import Iterator, u32


class Numbers:
    def all(self) -> Iterator[u32]:
        for n in self.all():
            yield n


def f(numbers: Numbers) -> None:
    for n in numbers.all():
        pass
