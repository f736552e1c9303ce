# refuse: 13: recursion
from hv.lang import Iterator, u32


class Tree:
    left: "Tree | None"

    def all(self) -> Iterator[u32]:
        count(self)
        yield 1


def count(tree: Tree) -> u32:
    total: u32 = 0
    for n in tree.all():
        total += n
    return total
