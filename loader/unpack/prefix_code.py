"""The prefix codes of DEFLATE: canonical Huffman codes of up to 15 bits, told by their lengths.

Codes of up to ten bits are looked up; the others are searched for, bit by bit.
Source: RFC 1951, section 3.2.2.
"""

from hv.lang import Final, array, bounded, raises, u8, u16, u32, u64
from loader.unpack.fault import expect

MOST_SYMBOLS: Final = 288
MOST_LENGTHS: Final = 320  # of two codes
MOST_BITS: Final = 15
QUICK_BITS: Final[u32] = 10
QUICK: Final = 1024
NONE: Final[u32] = 0xFFFF  # no symbol


class Lengths:
    """The codes' lengths in bits, by symbol; 0: there is none."""

    values: array[u8, MOST_LENGTHS]

    @raises
    def set(self, first: u32, count: u32, length: u8) -> None:
        """EINVAL: there are not so many."""
        expect(first <= MOST_LENGTHS and count <= MOST_LENGTHS - first, "lengths of codes that are not too many")
        for i in bounded(first, first + count, MOST_LENGTHS):
            self.values[i] = length


class PrefixCode:
    counts: array[u32, MOST_BITS + 1]  # of codes, by length
    symbols: array[u16, MOST_SYMBOLS]  # in the order of their codes
    quick: array[u16, QUICK]  # by the next bits: a symbol, and in the lowest four bits its code's length; 0: longer

    @raises
    def build(self, lengths: Lengths, first: u32, count: u32) -> None:
        """Of the symbols that have these lengths. EINVAL: no code has them. Where there is but one symbol, with one
        bit, or none, some bits are no code.
        """
        for i in range(MOST_BITS + 1):
            self.counts[i] = 0
        for i in bounded(count, MOST_SYMBOLS):
            self.counts[lengths.values[first + i]] += 1
        self.counts[0] = 0
        offsets: Offsets = Offsets()
        left: u32 = 1
        total: u32 = 0
        for bits in range(1, MOST_BITS + 1):
            left <<= 1
            expect(self.counts[bits] <= left, "lengths of codes that one tree has room for")
            left -= self.counts[bits]
            offsets.values[bits] = total
            total += self.counts[bits]
        expect(left == 0 or total == 0 or (total == 1 and self.counts[1] == 1), "lengths of codes that fill a tree")
        for i in bounded(count, MOST_SYMBOLS):
            bits = u32(lengths.values[first + i])
            if bits != 0:
                self.symbols[offsets.values[bits]] = u16(i)
                offsets.values[bits] += 1
        self._fill_quick()

    def _fill_quick(self) -> None:
        for i in range(QUICK):
            self.quick[i] = 0
        code: u32 = 0
        place: u32 = 0
        for bits in bounded(1, QUICK_BITS + 1, QUICK_BITS + 1):
            code <<= 1
            for _ in bounded(self.counts[bits], MOST_SYMBOLS):
                entry = self.symbols[place] << 4 | u16(bits)
                start = reversed(code, bits)
                for i in bounded(u32(QUICK) >> bits, QUICK):
                    self.quick[start + (i << bits)] = entry
                code += 1
                place += 1

    def find(self, bits: u64) -> tuple[u32, u32]:
        """The symbol whose code comes next, and the code's length. NONE: the bits are no code."""
        entry = u32(self.quick[bits & (QUICK - 1)])
        if entry != 0:
            return entry >> 4, entry & 15
        return self._search(bits)

    def _search(self, bits: u64) -> tuple[u32, u32]:
        code: u32 = 0
        first: u32 = 0
        place: u32 = 0
        for length in range(1, MOST_BITS + 1):
            code |= u32(bits >> (length - 1) & 1)
            count = self.counts[length]
            if code - first < count:
                return u32(self.symbols[place + code - first]), length
            place += count
            first = (first + count) << 1
            code <<= 1
        return NONE, MOST_BITS


class Offsets:
    """Where the symbols with a code of each length go."""

    values: array[u32, MOST_BITS + 1]


def reversed(code: u32, bits: u32) -> u32:
    """A code's bits in the order in which they come."""
    value: u32 = 0
    for i in bounded(bits, MOST_BITS):
        value |= (code >> i & 1) << (bits - 1 - i)
    return value
