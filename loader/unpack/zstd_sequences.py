"""The sequences of a block of Zstandard: so many literals, then a match, again and again.

Source: RFC 8878, sections 3.1.1.3.2 and 3.1.1.5.
"""

from hv.lang import Embedded, Final, array, bounded, i32, raises, u8, u32, u64
from loader.unpack.bits import BackwardBits
from loader.unpack.fault import expect
from loader.unpack.fse import Frequencies, FseTable
from loader.unpack.source import Source
from loader.unpack.window import Window
from loader.unpack.zstd_literals import Literals, marked_end

MOST_SEQUENCES: Final[u32] = 0x1_7F00
OFFSET_SYMBOLS: Final[u32] = 32
OFFSET_LOG: Final[u32] = 8
LENGTH_LOG: Final[u32] = 9
LITERAL_SYMBOLS: Final[u32] = 36
MATCH_SYMBOLS: Final[u32] = 53
REPEATED: Final[u64] = 3  # offsets up to here name an earlier one

LITERAL_BASE: Final[array[u32, LITERAL_SYMBOLS]] = array(
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1024,
    2048, 4096, 8192, 16384, 32768, 65536,
)  # fmt: skip
LITERAL_BITS: Final[array[u8, LITERAL_SYMBOLS]] = array(
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
)  # fmt: skip
MATCH_BASE: Final[array[u32, MATCH_SYMBOLS]] = array(
    3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
    33, 34, 35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539,
)  # fmt: skip
MATCH_BITS: Final[array[u8, MATCH_SYMBOLS]] = array(
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2,
    3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
)  # fmt: skip

# The predefined frequencies
LITERALS: Final[array[i32, LITERAL_SYMBOLS]] = array(
    4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1,
)  # fmt: skip
MATCHES: Final[array[i32, MATCH_SYMBOLS]] = array(
    1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
)  # fmt: skip
OFFSETS: Final[array[i32, 29]] = array(
    1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1,
)  # fmt: skip


class Sequences:
    """The tables and the last offsets of a frame."""

    frequencies: Embedded[Frequencies]
    literals: Embedded[FseTable]
    offsets: Embedded[FseTable]
    matches: Embedded[FseTable]
    last: array[u64, 3]

    def begin_frame(self) -> None:
        self.literals.known = False
        self.offsets.known = False
        self.matches.known = False
        self.last[0] = 1
        self.last[1] = 4
        self.last[2] = 8

    @raises
    def unpack(self, source: Source, literals: Literals, window: Window) -> None:
        """All of a block, from behind its literals to its end. EINVAL: it is damaged. ENOSPC: the window is full."""
        count = _count(source)
        if count == 0:
            expect(source.left == 0, "no bytes behind a block's last part")
        else:
            self._read_tables(source)
            self._unpack_all(source, count, literals, window)
        window.append(literals.rest())

    @raises
    def _read_tables(self, source: Source) -> None:
        modes = u32(source.byte())
        expect(modes & 3 == 0, "modes of three tables")
        if modes >> 6 == 0:
            self.frequencies.log = 6
            self.frequencies.symbols = LITERAL_SYMBOLS
            for i in range(LITERAL_SYMBOLS):
                self.frequencies.of[i] = LITERALS[i]
        self._read_table(source, modes >> 6, self.literals, LENGTH_LOG, LITERAL_SYMBOLS)
        if modes >> 4 & 3 == 0:
            self.frequencies.log = 5
            self.frequencies.symbols = len(OFFSETS)
            for i in range(29):
                self.frequencies.of[i] = OFFSETS[i]
        self._read_table(source, modes >> 4 & 3, self.offsets, OFFSET_LOG, OFFSET_SYMBOLS)
        if modes >> 2 & 3 == 0:
            self.frequencies.log = 6
            self.frequencies.symbols = MATCH_SYMBOLS
            for i in range(MATCH_SYMBOLS):
                self.frequencies.of[i] = MATCHES[i]
        self._read_table(source, modes >> 2 & 3, self.matches, LENGTH_LOG, MATCH_SYMBOLS)

    @raises
    def _read_table(self, source: Source, mode: u32, table: FseTable, most_log: u32, symbols: u32) -> None:
        """In mode 0, with the frequencies that are at hand."""
        match mode:
            case 0:
                table.build(self.frequencies)
            case 1:
                symbol = u32(source.byte())
                expect(symbol < symbols, "a symbol that there is")
                table.build_single(symbol)
            case 2:
                self.frequencies.read(source, most_log, symbols)
                table.build(self.frequencies)
            case _:
                expect(table.known, "a table before it is used again")

    @raises
    def _unpack_all(self, source: Source, count: u32, literals: Literals, window: Window) -> None:
        stream = source.take(source.left)
        bits = BackwardBits()
        bits.init(stream, marked_end(stream))
        literal = self.literals.first(bits)
        offset = self.offsets.first(bits)
        match = self.matches.first(bits)
        for i in bounded(count, MOST_SEQUENCES):
            far = (u64(1) << offset.symbol) + bits.read(offset.symbol)
            length = u64(MATCH_BASE[match.symbol]) + bits.read(u32(MATCH_BITS[match.symbol]))
            before = u64(LITERAL_BASE[literal.symbol]) + bits.read(u32(LITERAL_BITS[literal.symbol]))
            if i + 1 != count:
                literal = self.literals.next(literal, bits)
                match = self.matches.next(match, bits)
                offset = self.offsets.next(offset, bits)
            expect(not bits.beyond, "more bytes behind the end")
            window.append(literals.take(before))
            window.repeat(self._distance(far, before == 0), length)
        expect(bits.left == 0, "sequences that use up their stream")

    @raises
    def _distance(self, far: u64, moved: bool) -> u64:
        """What an offset says, which may name one of the last three; without literals before it, the names mean
        others."""
        distance = far - REPEATED
        place: u64 = 3
        if far <= REPEATED:
            place = far if moved else far - 1
            distance = self.last[place] if place < 3 else self.last[0] - 1
            expect(distance != 0, "an offset that is not 0")
        if place >= 2:
            self.last[2] = self.last[1]
        if place >= 1:
            self.last[1] = self.last[0]
        self.last[0] = distance
        return distance


@raises
def _count(source: Source) -> u32:
    first = u32(source.byte())
    if first < 128:
        return first
    if first < 255:
        return (first - 128) << 8 | u32(source.byte())
    return u32(source.le16()) + 0x7F00
