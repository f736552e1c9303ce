"""Finite state entropy codes, as Zstandard has them: tables whose states tell a symbol, and how to come to the next.

Source: RFC 8878, section 4.1.
"""

from hv.lang import Final, array, bounded, i32, leading_zeros, raises, truncate, u16, u32, u64, value
from loader.unpack.bits import BackwardBits, ForwardBits
from loader.unpack.fault import expect
from loader.unpack.source import Source

MOST_LOG: Final[u32] = 9
MOST_STATES: Final = 512
MOST_SYMBOLS: Final = 256
LEAST_LOG: Final[u32] = 5
LESS_THAN_ONE: Final[i32] = -1  # a symbol that has one state, which leads to any


class Frequencies:
    """How many of a table's states each symbol has."""

    log: u32  # of the number of states
    symbols: u32
    of: array[i32, MOST_SYMBOLS]

    @raises
    def read(self, source: Source, most_log: u32, most_symbols: u32) -> None:
        """EINVAL: no table is described so, or a larger one than here may be."""
        bits = ForwardBits()
        bits.init(source.data.rest(source.at))
        self.log = bits.read(4) + LEAST_LOG
        expect(self.log <= most_log, "a table of states that is not too large")
        left = i32(1 << self.log)
        self.symbols = 0
        for _ in range(MOST_SYMBOLS):
            if left == 0 or self.symbols >= most_symbols:
                break
            frequency = i32(_number_up_to(bits, u32(left) + 1)) - 1
            left -= 1 if frequency == LESS_THAN_ONE else frequency
            self._add(frequency)
            if frequency == 0:
                self._add_absent(bits, most_symbols)
        expect(left == 0 and self.symbols <= most_symbols, "frequencies that fill a table of states")
        expect(not bits.beyond, "more bytes behind the end")
        source.at += bits.bytes

    @raises
    def _add_absent(self, bits: ForwardBits, most_symbols: u32) -> None:
        """How many more symbols have no state: in steps of up to three, the last of which is less."""
        for _ in range(MOST_SYMBOLS):
            more = bits.read(2)
            expect(self.symbols + more <= most_symbols, "no more symbols than there are")
            for _ in bounded(more, 3):
                self._add(0)
            if more != 3:
                break

    def _add(self, frequency: i32) -> None:
        self.of[self.symbols] = frequency
        self.symbols += 1


def _number_up_to(bits: ForwardBits, most: u32) -> u32:
    """A number from 0 to `most`, which takes a bit less when it is small."""
    wide = 32 - leading_zeros(most)
    spared = (u32(1) << wide) - 1 - most  # numbers that take a bit less
    number = u32(bits.peek() & ((u64(1) << wide) - 1))
    low = number & ((u32(1) << (wide - 1)) - 1)
    if low < spared:
        bits.skip(wide - 1)
        return low
    bits.skip(wide)
    return number - spared if number >= u32(1) << (wide - 1) else number


@value
class State:
    """What a state tells: a symbol, and the next state, which is `base` and the number in so many bits."""

    raw: u32

    @property
    def symbol(self) -> u32:
        return self.raw & 0xFF

    @property
    def bits(self) -> u32:
        return self.raw >> 8 & 0xFF

    @property
    def base(self) -> u32:
        return self.raw >> 16


class FseTable:
    known: bool
    log: u32
    states: array[u32, MOST_STATES]  # each a State

    def build(self, given: Frequencies) -> None:
        """From frequencies that fill it."""
        following = Following()
        size = u32(1) << given.log
        high = size
        for i in bounded(given.symbols, MOST_SYMBOLS):
            frequency = given.of[i]
            following.of[i] = 1 if frequency == LESS_THAN_ONE else u16(frequency)
            if frequency == LESS_THAN_ONE:
                high -= 1
                self.states[high] = i
        self._spread(given, size, high)
        for i in bounded(size, MOST_STATES):
            symbol = self.states[i]
            number = u32(following.of[symbol])
            following.of[symbol] += 1
            bits = given.log - (31 - leading_zeros(number))
            self.states[i] = symbol | bits << 8 | ((number << bits) - size) << 16
        self.log = given.log
        self.known = True

    def _spread(self, given: Frequencies, size: u32, high: u32) -> None:
        """Puts the symbols in steps all over the states below `high`."""
        at: u32 = 0
        for i in bounded(given.symbols, MOST_SYMBOLS):
            for _ in bounded(u32(max(given.of[i], 0)), MOST_STATES):
                self.states[at] = i
                for _ in range(MOST_STATES):
                    at = (at + (size >> 1) + (size >> 3) + 3) & (size - 1)
                    if at < high:
                        break

    def build_single(self, symbol: u32) -> None:
        """That tells one symbol, always."""
        self.log = 0
        self.states[0] = symbol
        self.known = True

    def first(self, bits: BackwardBits) -> State:
        return State(self.states[bits.read(self.log)])

    def next(self, state: State, bits: BackwardBits) -> State:
        return State(self.states[state.base + truncate(u32, bits.read(state.bits))])


class Following:
    """The number that each symbol's next state has."""

    of: array[u16, MOST_SYMBOLS]
