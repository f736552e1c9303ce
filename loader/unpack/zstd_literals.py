"""The literals of a block of Zstandard, which are packed by a Huffman code, or lie there as they are.

Source: RFC 8878, sections 3.1.1.3.1 and 4.2.
"""

from hv.common.lib.span import Bytes
from hv.lang import (
    Embedded,
    Final,
    address_of,
    array,
    bounded,
    leading_zeros,
    raises,
    truncate,
    u8,
    u16,
    u32,
    u64,
    unbounded,
    value,
)
from loader.unpack.bits import BackwardBits
from loader.unpack.fault import expect
from loader.unpack.fse import Frequencies, FseTable
from loader.unpack.source import Source

MOST_LITERALS: Final = 0x2_0000
MOST_BITS: Final[u32] = 11  # of a code
ENTRIES: Final = 2048
MOST_SYMBOLS: Final[u32] = 256
MOST_WEIGHT_LOG: Final[u32] = 6
PLAIN_WEIGHTS: Final = 128  # from here on a description's first byte tells how many there are
STREAMS: Final = 4


@value
class Size:
    """Of literals, unpacked and packed, and whether they are in four streams."""

    literals: u64
    packed: u64
    four: bool


class Weights:
    """2 ** (weight - 1) tells how much of the code a symbol has; 0: it has no code."""

    of: array[u8, MOST_SYMBOLS]
    count: u32

    @raises
    def add(self, weight: u32) -> None:
        expect(self.count < MOST_SYMBOLS and weight <= MOST_BITS, "weights of a Huffman code of at most 11 bits")
        self.of[self.count] = truncate(u8, weight)
        self.count += 1


class HuffmanTable:
    known: bool
    bits: u32  # of the longest code
    entries: array[u16, ENTRIES]  # by the next bits: a symbol, and in the lowest four bits its code's length

    @raises
    def build(self, weights: Weights) -> None:
        """The last symbol's weight is not told: it has what is left of the code. EINVAL: no code is like that."""
        sum: u32 = 0
        for i in bounded(weights.count, MOST_SYMBOLS):
            weight = u32(weights.of[i])
            if weight != 0:
                sum += u32(1) << (weight - 1)
        expect(sum != 0 and sum < ENTRIES, "a Huffman code of at most 11 bits")
        self.bits = 32 - leading_zeros(sum)
        left = (u32(1) << self.bits) - sum
        expect(left & (left - 1) == 0, "weights that leave a power of 2 for the last")
        weights.add(32 - leading_zeros(left))
        places = Places()
        places.init(weights)
        expect(places.lightest >= 2, "two codes of the greatest length")
        for i in bounded(weights.count, MOST_SYMBOLS):
            weight = u32(weights.of[i])
            if weight != 0:
                entry = u16(i << 4 | self.bits + 1 - weight)
                first = places.of[weight]
                places.of[weight] += u32(1) << (weight - 1)
                for place in bounded(first, places.of[weight], ENTRIES):
                    self.entries[place] = entry
        self.known = True


class Places:
    """Where the entries of the symbols of each weight begin: those of the smallest come first."""

    of: array[u32, MOST_BITS + 1]
    lightest: u32  # how many have weight 1

    def init(self, weights: Weights) -> None:
        counts = Counts()
        for i in bounded(weights.count, MOST_SYMBOLS):
            counts.of[weights.of[i]] += 1
        self.lightest = counts.of[1]
        at: u32 = 0
        for weight in range(1, MOST_BITS + 1):
            self.of[weight] = at
            at += counts.of[weight] << (weight - 1)


class Counts:
    of: array[u32, MOST_BITS + 1]


class Literals:
    table: Embedded[HuffmanTable]
    bytes: array[u8, MOST_LITERALS]
    length: u64
    taken: u64

    def begin_frame(self) -> None:
        self.table.known = False

    @raises
    def read(self, source: Source) -> None:
        """EINVAL: they are damaged."""
        self.length = 0
        self.taken = 0
        first = u64(source.byte())
        kind = first & 3
        size = _plain_size(source, first) if kind < 2 else _packed_size(source, first)
        expect(size.literals <= MOST_LITERALS, "at most 128 KiB of literals")
        match kind:
            case 0:
                self._append(source.take(size.literals))
            case 1:
                self._fill(source.byte(), size.literals)
            case _:
                packed = Source()
                packed.init(source.take(size.packed))
                if kind == 2:
                    read_weights(packed, self.table)
                expect(self.table.known, "a Huffman code before it is used again")
                self._unpack(packed, size)

    @raises
    def take(self, count: u64) -> Bytes:
        """The next ones. EINVAL: there are not so many."""
        expect(count <= self.length - self.taken, "as many literals as are used")
        start = self.taken
        self.taken += count
        return Bytes(address_of(self.bytes) + start, count)

    def rest(self) -> Bytes:
        return Bytes(address_of(self.bytes) + self.taken, self.length - self.taken)

    def _append(self, bytes: Bytes) -> None:
        for i in bounded(bytes.length, MOST_LITERALS):
            self.bytes[i] = bytes.byte(i)
        self.length = bytes.length

    def _fill(self, byte: u8, count: u64) -> None:
        for i in bounded(count, MOST_LITERALS):
            self.bytes[i] = byte
        self.length = count

    @raises
    def _unpack(self, packed: Source, size: Size) -> None:
        if not size.four:
            self._unpack_stream(packed.take(packed.left), size.literals)
            return
        sizes = packed.take(2 * (STREAMS - 1))
        each = (size.literals + STREAMS - 1) // STREAMS
        expect(each * (STREAMS - 1) <= size.literals, "literals for four streams")
        for i in range(STREAMS - 1):
            self._unpack_stream(packed.take(u64(sizes.le16(u64(i) * 2))), each)
        self._unpack_stream(packed.take(packed.left), size.literals - self.length)

    @raises
    def _unpack_stream(self, stream: Bytes, count: u64) -> None:
        bits = BackwardBits()
        bits.init(stream, marked_end(stream))
        for i in bounded(self.length, self.length + count, MOST_LITERALS):
            entry = u32(self.table.entries[bits.peek(self.table.bits)])
            bits.skip(entry & 15)
            self.bytes[i] = truncate(u8, entry >> 4)
        self.length += count
        expect(bits.left == 0 and not bits.beyond, "literals that use up their stream")


@raises
def _plain_size(source: Source, first: u64) -> Size:
    match first >> 2 & 3:
        case 1:
            return Size(first >> 4 | u64(source.byte()) << 4, 0, False)
        case 3:
            return Size(first >> 4 | u64(source.le16()) << 4, 0, False)
        case _:
            return Size(first >> 3, 0, False)


@raises
def _packed_size(source: Source, first: u64) -> Size:
    """Two numbers of as many bits each."""
    bits: u32 = 10
    both = first >> 4
    match first >> 2 & 3:
        case 2:
            bits = 14
            both |= u64(source.le16()) << 4 | u64(source.byte()) << 20
        case 3:
            bits = 18
            both |= u64(source.le32()) << 4
        case _:
            both |= u64(source.le16()) << 4
    return Size(both & ((u64(1) << bits) - 1), both >> bits, first >> 2 & 3 != 0)


@raises
def marked_end(stream: Bytes) -> u64:
    """Bits below the highest one of the last byte, which marks where the stream begins. EINVAL: there is none."""
    expect(stream.length != 0, "a stream of bits that is not empty")
    last = stream.byte(stream.length - 1)
    expect(last != 0, "a stream of bits that begins with its mark")
    return stream.length * 8 - 1 - u64(leading_zeros(last))


class WeightCode:
    frequencies: Embedded[Frequencies]
    table: Embedded[FseTable]
    weights: Embedded[Weights]


code: Final = WeightCode()


@raises
def read_weights(source: Source, into: HuffmanTable) -> None:
    """A description of a Huffman code."""
    weights = code.weights
    weights.count = 0
    first = u32(source.byte())
    if first >= PLAIN_WEIGHTS:
        count = first - (PLAIN_WEIGHTS - 1)
        for i in bounded(count, MOST_SYMBOLS):
            if i & 1 == 0:
                pair = u32(source.byte())
                weights.add(pair >> 4)
                if i + 1 < count:
                    weights.add(pair & 15)
    else:
        packed = Source()
        packed.init(source.take(u64(first)))
        code.frequencies.read(packed, MOST_WEIGHT_LOG, MOST_BITS + 2)
        code.table.build(code.frequencies)
        _unpack_weights(packed.take(packed.left), weights)
    into.build(weights)


@raises
@unbounded("each round adds a weight, of which there are finitely many")
def _unpack_weights(stream: Bytes, weights: Weights) -> None:
    """By two states in turns, until the stream has no bits for another."""
    bits = BackwardBits()
    bits.init(stream, marked_end(stream))
    one = code.table.first(bits)
    other = code.table.first(bits)
    expect(not bits.beyond, "more bytes behind the end")
    while True:
        weights.add(one.symbol)
        one = code.table.next(one, bits)
        one, other = other, one
        if bits.beyond:
            weights.add(one.symbol)
            return
