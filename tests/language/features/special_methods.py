"""Special methods are static calls."""

from hv.lang import Final, Iterator, array, bounded, embedded, u8, u32, u64

BITS: Final = 128


@embedded
class Bitmap:
    words: array[u64, 2]

    def __contains__(self, bit: u32) -> bool:
        return self.words[bit // 64] >> bit % 64 & 1 != 0

    def __getitem__(self, bit: u32) -> bool:
        return bit in self

    def __setitem__(self, bit: u32, on: bool) -> None:
        mask: u64 = 1 << bit % 64
        if on:
            self.words[bit // 64] |= mask
        else:
            self.words[bit // 64] &= ~mask

    def __len__(self) -> u32:
        total: u32 = 0
        for bit in range(BITS):
            total += u32(self[bit])
        return total

    def __iter__(self) -> Iterator[u32]:
        for bit in range(BITS):
            if bit in self:
                yield bit


class Table:
    map: Bitmap
    bytes: array[u8, 4]

    def __getitem__(self, i: u64) -> u8:
        return self.bytes[i]

    def __setitem__(self, i: u64, x: u8) -> None:
        self.bytes[i] = x


table: Final = Table()


def fill() -> None:
    table.map[0] = True
    table.map[63] = True
    table.map[64] = True
    table.map[127] = True
    table.map[63] = False


def test_items() -> u64:
    fill()
    return u64(table.map[0]) + u64(table.map[63]) * 2 + u64(table.map[127]) * 4


def test_contains() -> u64:
    fill()
    return u64(64 in table.map) + u64(63 in table.map) * 2 + u64(1 not in table.map) * 4


def test_length() -> u64:
    fill()
    return u64(len(table.map))


def test_iteration() -> u64:
    fill()
    total: u64 = 0
    for bit in table.map:
        total = total * 1000 + u64(bit)
    return total


def test_literals_adapt_and_wrap() -> u64:
    table[2] = 250
    table[2] = table[2] + 10
    return u64(table[2])


def calc_set(a: u32, b: u32) -> u64:
    made = Table()
    made.map[a] = True
    made.map[b] = True
    return u64(len(made.map)) + u64(a in made.map) * 100


def calc_bounded_walk(n: u32) -> u64:
    made = Table()
    for i in bounded(n, 100):
        made.map[i] = i % 3 == 0
    return u64(len(made.map))
