# refuse: 11: this loop yields tuple[u32, u32]: give it one name for each value
from hv.lang import Iterator, u32


class Table:
    def both(self) -> Iterator[tuple[u32, u32]]:
        for i in range(4):
            yield i, i

    def sum(self) -> u32:
        for a, b, c in self.both():
            return a
        return 0
