"""LZMA: a range decoder and the adaptive model that it is driven by. An instance decodes one chunk of LZMA2 after the
other.

Each decision is a bit with a probability that adapts, in 2048ths of a zero. Where the model stands is `state`: 0 to 6
behind a literal, 7 to 11 behind a match, and each tells more of what came before. A chunk that is too short reads as
zeros to its end, which `ends_well` tells.
Source: Igor Pavlov, LZMA specification (in the LZMA SDK, public domain).
"""

from hv.common.lib.span import Bytes
from hv.lang import Final, array, bounded, ptr, raises, truncate, u8, u16, u32, u64, unbounded
from loader.unpack.fault import expect
from loader.unpack.source import Source
from loader.unpack.window import Window

BITS: Final = 11
ONE: Final[u32] = 1 << BITS
EVEN: Final[u16] = 1 << 10
SPEED: Final = 5
LEAST_RANGE: Final[u32] = 1 << 24

STATES: Final = 12
LITERAL_STATES: Final[u32] = 7  # those below
MOST_POSITIONS: Final = 16  # that position bits tell apart
SHORTEST: Final[u32] = 2
DISTANCE_STATES: Final = 4
SLOTS: Final = 64
FIRST_SLOT: Final[u32] = 4  # below, the slot is the distance
FIRST_ALIGNED: Final[u32] = 14  # from here on, the distance has bits of even probability
LITERAL_MODEL: Final = 0x300
MOST_LITERAL_BITS: Final[u32] = 4

# The model's parts, by where they begin among the probabilities
IS_MATCH: Final[u32] = 0
IS_REPEATED: Final[u32] = IS_MATCH + STATES * MOST_POSITIONS
NOT_FIRST: Final[u32] = IS_REPEATED + STATES
NOT_SECOND: Final[u32] = NOT_FIRST + STATES
NOT_THIRD: Final[u32] = NOT_SECOND + STATES
IS_LONG: Final[u32] = NOT_THIRD + STATES
SLOT: Final[u32] = IS_LONG + STATES * MOST_POSITIONS
SPECIAL: Final[u32] = SLOT + DISTANCE_STATES * SLOTS
ALIGNED: Final[u32] = SPECIAL + 128 - 14
MATCH_LENGTH: Final[u32] = ALIGNED + 16
REPEATED_LENGTH: Final[u32] = MATCH_LENGTH + 2 + 2 * 8 * MOST_POSITIONS + 256
LITERAL: Final[u32] = REPEATED_LENGTH + 2 + 2 * 8 * MOST_POSITIONS + 256
PROBABILITIES: Final[u32] = LITERAL + (LITERAL_MODEL << MOST_LITERAL_BITS)

# Of a length's part
LOW: Final[u32] = 2
MIDDLE: Final[u32] = LOW + 8 * MOST_POSITIONS
HIGH: Final[u32] = MIDDLE + 8 * MOST_POSITIONS


class Lzma:
    range: u32
    code: u32
    input: u64  # where the next byte lies
    end: u64
    short: bool  # there was none where one was needed
    state: u32
    last: array[u32, 4]  # distances, the latest first, each less 1
    literal_positions: u32  # masks
    positions: u32
    literal_bits: u32
    model: array[u16, PROBABILITIES]

    @raises
    def set_properties(self, byte: u8) -> None:
        """EINVAL: more literal bits than LZMA2 has, or no such properties."""
        expect(byte < 9 * 5 * 5, "LZMA properties below 225")
        self.literal_bits = u32(byte % 9)
        literal_positions = u32(byte // 9 % 5)
        expect(
            self.literal_bits + literal_positions <= MOST_LITERAL_BITS, "at most 4 bits that choose a literal's model"
        )
        self.literal_positions = (1 << literal_positions) - 1
        self.positions = (1 << u32(byte // 45)) - 1

    def reset(self) -> None:
        """The model knows nothing, as when the properties have been set."""
        self.state = 0
        for i in range(4):
            self.last[i] = 0
        for i in range(PROBABILITIES):
            self.model[i] = EVEN

    @raises
    def begin(self, chunk: Bytes) -> None:
        """EINVAL: no chunk begins so."""
        source = Source()
        source.init(chunk)
        expect(source.byte() == 0, "a range coder that begins with 0")
        high = source.be16()
        self.code = u32(high) << 16 | u32(source.be16())
        self.range = 0xFFFF_FFFF
        self.input = chunk.address + source.at
        self.end = chunk.address + chunk.length
        self.short = False

    def ends_well(self) -> bool:
        """Whether the chunk was used up, and the range coder ends where an encoder ends it."""
        self.normalise()
        return self.input == self.end and self.code == 0 and not self.short

    @raises
    @unbounded("each round writes a byte or more")
    def decode(self, window: Window, end: u64) -> None:
        """Up to this length of the window. EINVAL: a match reaches beyond, or repeats nothing. ENOSPC: the window is
        full."""
        while window.length < end:
            position = truncate(u32, window.length - window.first) & self.positions
            if self.bit(IS_MATCH + self.state * MOST_POSITIONS + position) == 0:
                window.put(self.literal(window))
                continue
            count = u64(self.match(position))
            expect(count <= end - window.length, "a match that ends with its chunk")
            window.repeat(u64(self.last[0]) + 1, count)

    def literal(self, window: Window) -> u8:
        position = truncate(u32, window.length - window.first) & self.literal_positions
        before = u32(window.back(1))
        model = LITERAL + LITERAL_MODEL * (position << self.literal_bits | before >> (8 - self.literal_bits))
        symbol: u32 = 1
        if self.state < LITERAL_STATES:
            for _ in range(8):
                symbol = symbol << 1 | self.bit(model + symbol)
            self.state = self.state - min(self.state, 3)
            return truncate(u8, symbol)
        # Behind a match, the byte that would have gone on in it is no literal's value: its bits choose the model, as
        # long as the literal's are the same.
        other = u32(window.back(u64(self.last[0]) + 1)) << 1
        same: u32 = 0x100
        for _ in range(8):
            chosen = other & same
            bit = self.bit(model + same + chosen + symbol)
            symbol = symbol << 1 | bit
            same = chosen if bit != 0 else same ^ chosen
            other <<= 1
        self.state -= 3 if self.state < 10 else 6
        return truncate(u8, symbol)

    def match(self, position: u32) -> u32:
        """A match's length; its distance is the latest."""
        if self.bit(IS_REPEATED + self.state) == 0:
            count = self.length(MATCH_LENGTH, position)
            self.state = 7 if self.state < LITERAL_STATES else 10
            distance = self.distance(count)
            self.last[3] = self.last[2]
            self.last[2] = self.last[1]
            self.last[1] = self.last[0]
            self.last[0] = distance
            return count
        if self.bit(NOT_FIRST + self.state) == 0:
            if self.bit(IS_LONG + self.state * MOST_POSITIONS + position) == 0:
                self.state = 9 if self.state < LITERAL_STATES else 11
                return 1
        else:
            self.choose_earlier()
        count = self.length(REPEATED_LENGTH, position)
        self.state = 8 if self.state < LITERAL_STATES else 11
        return count

    def choose_earlier(self) -> None:
        """One of the three earlier distances becomes the latest."""
        place: u32 = 1
        if self.bit(NOT_SECOND + self.state) != 0:
            place = 2 + self.bit(NOT_THIRD + self.state)
        distance = self.last[place]
        if place == 3:
            self.last[3] = self.last[2]
        if place >= 2:
            self.last[2] = self.last[1]
        self.last[1] = self.last[0]
        self.last[0] = distance

    def length(self, part: u32, position: u32) -> u32:
        if self.bit(part) == 0:
            return SHORTEST + self.tree(part + LOW + position * 8, 3)
        if self.bit(part + 1) == 0:
            return SHORTEST + 8 + self.tree(part + MIDDLE + position * 8, 3)
        return SHORTEST + 16 + self.tree(part + HIGH, 8)

    def distance(self, count: u32) -> u32:
        """Less 1."""
        slot = self.tree(SLOT + min(count - SHORTEST, DISTANCE_STATES - 1) * SLOTS, 6)
        if slot < FIRST_SLOT:
            return slot
        bits = (slot >> 1) - 1
        high = (2 | slot & 1) << bits
        if slot < FIRST_ALIGNED:
            return high + self.reversed_tree(SPECIAL + high - slot - 1, bits)
        return high + (self.even_bits(bits - 4) << 4) + self.reversed_tree(ALIGNED, 4)

    # Bits

    def tree(self, part: u32, bits: u32) -> u32:
        """The highest bit first; each is modelled by those before it."""
        symbol: u32 = 1
        for _ in bounded(bits, 8):
            symbol = symbol << 1 | self.bit(part + symbol)
        return symbol - (1 << bits)

    def reversed_tree(self, part: u32, bits: u32) -> u32:
        """The lowest bit first."""
        symbol: u32 = 1
        value: u32 = 0
        for i in bounded(bits, 5):
            bit = self.bit(part + symbol)
            symbol = symbol << 1 | bit
            value |= bit << i
        return value

    def even_bits(self, bits: u32) -> u32:
        value: u32 = 0
        for _ in bounded(bits, 26):
            self.normalise()
            self.range >>= 1
            bit: u32 = 0
            if self.code >= self.range:
                self.code -= self.range
                bit = 1
            value = value << 1 | bit
        return value

    def bit(self, at: u32) -> u32:
        self.normalise()
        zero = u32(self.model[at])
        bound = (self.range >> BITS) * zero
        if self.code < bound:
            self.range = bound
            self.model[at] = truncate(u16, zero + ((ONE - zero) >> SPEED))
            return 0
        self.range -= bound
        self.code -= bound
        self.model[at] = truncate(u16, zero - (zero >> SPEED))
        return 1

    def normalise(self) -> None:
        if self.range < LEAST_RANGE:
            self.range <<= 8
            self.code <<= 8
            if self.input == self.end:
                self.short = True
                return
            self.code |= u32(ptr[u8](self.input)[0])
            self.input += 1
