# refuse: 7: `yield` needs a value
from hv.lang import Iterator, u32


class Table:
    def all(self) -> Iterator[u32]:
        yield

    def f(self) -> None:
        for x in self.all():
            pass
