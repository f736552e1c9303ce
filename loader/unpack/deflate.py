"""DEFLATE.

Source: RFC 1951.
"""

from hv.lang import Embedded, Final, array, bounded, raises, truncate, u8, u32, u64, unbounded
from loader.unpack.bits import ForwardBits
from loader.unpack.fault import expect
from loader.unpack.prefix_code import Lengths, PrefixCode
from loader.unpack.source import Source
from loader.unpack.window import Window

END: Final[u32] = 256  # of a block
FIRST_LENGTH: Final[u32] = 257
LENGTHS: Final[u32] = 29
DISTANCES: Final[u32] = 30
LITERALS_AND_LENGTHS: Final[u32] = 286

LENGTH_BASE: Final[array[u32, LENGTHS]] = array(
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258
)
LENGTH_BITS: Final[array[u8, LENGTHS]] = array(
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0
)
CODE_LENGTHS: Final[u32] = 19
CODE_LENGTH_ORDER: Final[array[u32, CODE_LENGTHS]] = array(
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15
)


class Codes:
    literals: Embedded[PrefixCode]
    distances: Embedded[PrefixCode]
    lengths: Embedded[PrefixCode]  # of the lengths' code
    given: Embedded[Lengths]


codes: Final = Codes()


@raises
@unbounded("each block takes bits of the source, and says whether it is the last")
def unpack_deflate(source: Source, window: Window) -> None:
    """EINVAL: it is damaged. ENOSPC: the window is full."""
    stream = ForwardBits()
    stream.init(source.data.rest(source.at))
    last = False
    while not last:
        last = stream.read(1) != 0
        match stream.read(2):
            case 0:
                _copy_stored(stream, window)
            case 1:
                _build_fixed_codes()
                _unpack_block(stream, window)
            case 2:
                _read_codes(stream)
                _unpack_block(stream, window)
            case _:
                expect(False, "a block of DEFLATE that is stored, or has fixed or own codes")
    expect(not stream.beyond, "more bytes behind the end")
    source.at += stream.bytes


@raises
def _copy_stored(stream: ForwardBits, window: Window) -> None:
    stream.align()
    length = u64(stream.read(16))
    expect(stream.read(16) == u32(length) ^ 0xFFFF, "a stored block whose length stands there twice")
    at = stream.at // 8
    expect(stream.data.holds(at, length), "more bytes behind the end")
    window.append(stream.data.part(at, length))
    stream.at += length * 8


@raises
def _build_fixed_codes() -> None:
    codes.given.set(0, 144, 8)
    codes.given.set(144, 112, 9)
    codes.given.set(256, 24, 7)
    codes.given.set(280, 8, 8)
    codes.given.set(288, 32, 5)
    codes.literals.build(codes.given, 0, 288)
    codes.distances.build(codes.given, 288, 32)


@raises
@unbounded("each round tells a length or more of finitely many")
def _read_codes(stream: ForwardBits) -> None:
    literals = stream.read(5) + FIRST_LENGTH
    distances = stream.read(5) + 1
    own = stream.read(4) + 4
    expect(literals <= LITERALS_AND_LENGTHS and distances <= DISTANCES, "no more codes than DEFLATE has")
    codes.given.set(0, CODE_LENGTHS, 0)
    for i in bounded(own, CODE_LENGTHS):
        codes.given.values[CODE_LENGTH_ORDER[i]] = truncate(u8, stream.read(3))
    codes.lengths.build(codes.given, 0, CODE_LENGTHS)
    done: u32 = 0
    while done < literals + distances:
        symbol, used = codes.lengths.find(stream.peek())
        stream.skip(used)
        count: u32 = 1
        length: u8 = 0
        if symbol < 16:
            length = truncate(u8, symbol)
        elif symbol == 16:
            expect(done != 0, "a length before one that is repeated")
            length = codes.given.values[done - 1]
            count = 3 + stream.read(2)
        elif symbol == 17:
            count = 3 + stream.read(3)
        else:
            expect(symbol == 18, "a code that is one")
            count = 11 + stream.read(7)
        expect(count <= literals + distances - done, "as many lengths of codes as there are codes")
        codes.given.set(done, count, length)
        done += count
    expect(not stream.beyond, "more bytes behind the end")
    expect(codes.given.values[END] != 0, "a code that ends the block")
    codes.literals.build(codes.given, 0, literals)
    codes.distances.build(codes.given, literals, distances)


@raises
@unbounded("each round takes bits of the source")
def _unpack_block(stream: ForwardBits, window: Window) -> None:
    while True:
        bits = stream.peek()  # enough for a length and a distance
        symbol, used = codes.literals.find(bits)
        if symbol < END:
            stream.skip(used)
            expect(not stream.beyond, "more bytes behind the end")
            window.put(truncate(u8, symbol))
            continue
        if symbol == END:
            stream.skip(used)
            return
        expect(symbol < LITERALS_AND_LENGTHS, "a code that is one")
        bits >>= used
        place = symbol - FIRST_LENGTH
        more = u32(LENGTH_BITS[place])
        length = u64(LENGTH_BASE[place]) + (bits & ((u64(1) << more) - 1))
        bits >>= more
        symbol, short = codes.distances.find(bits)
        expect(symbol < DISTANCES, "a code that is one")
        bits >>= short
        wide = max(symbol >> 1, 1) - 1  # bits behind the code
        distance = u64(symbol) + 1
        if wide != 0:
            distance = (u64(2 | symbol & 1) << wide) + 1 + (bits & ((u64(1) << wide) - 1))
        stream.skip(used + more + short + wide)
        expect(not stream.beyond, "more bytes behind the end")
        window.repeat(distance, length)
