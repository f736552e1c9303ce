"""A fixed set of small numbers, one bit each.

`Bitmap[W]` has W words of 64 bits, so it holds the numbers 0 … 64 * W - 1. It takes no lock: the caller's protects it.
"""

from hv.lang import (
    Const,
    Final,
    Generic,
    Iterator,
    TypeVar,
    array,
    bounded,
    embedded,
    popcount,
    trailing_zeros,
    u32,
    u64,
    unbounded,
)

W = TypeVar("W", bound=int)

WORD_BITS: Final = 64


@embedded
class Bitmap(Generic[W]):
    word_count: Const[W]
    words: array[u64, W]

    @property
    def size(self) -> u32:
        """One more than the greatest number that it can hold; also what a search answers that finds nothing."""
        return self.word_count * WORD_BITS

    def test(self, number: u32) -> bool:
        return self.words[number // WORD_BITS] >> number % WORD_BITS & 1 != 0

    def set(self, number: u32) -> None:
        self.words[number // WORD_BITS] |= u64(1) << number % WORD_BITS

    def clear(self, number: u32) -> None:
        self.words[number // WORD_BITS] &= ~(u64(1) << number % WORD_BITS)

    def set_range(self, start: u32, stop: u32) -> None:
        """Adds start … stop - 1."""
        for number in bounded(start, stop, self.word_count * WORD_BITS):
            self.set(number)

    def clear_all(self) -> None:
        for i in range(self.word_count):
            self.words[i] = 0

    def is_empty(self) -> bool:
        for word in self.words:
            if word != 0:
                return False
        return True

    def count(self) -> u32:
        total: u32 = 0
        for word in self.words:
            total += popcount(word)
        return total

    def first_set(self, start: u32 = 0) -> u32:
        """The lowest member from `start` on; `size` when there is none."""
        return self._search(start, 0)

    def first_clear(self, start: u32 = 0) -> u32:
        """The lowest number from `start` on that is no member; `size` when there is none."""
        return self._search(start, ~u64(0))

    @unbounded("each step goes to a higher number")
    def __iter__(self) -> Iterator[u32]:
        """The members in order. The one at hand may be cleared meanwhile."""
        number = self.first_set()
        while number < self.size:
            yield number
            number = self.first_set(number + 1)

    def add_all(self, other: "Bitmap[W]") -> None:
        for i in range(self.word_count):
            self.words[i] |= other.words[i]

    def keep_all(self, other: "Bitmap[W]") -> None:
        """Leaves the numbers that are in both."""
        for i in range(self.word_count):
            self.words[i] &= other.words[i]

    def copy_from(self, other: "Bitmap[W]") -> None:
        for i in range(self.word_count):
            self.words[i] = other.words[i]

    @unbounded("each step goes to the next word")
    def _search(self, start: u32, inverted: u64) -> u32:
        """The lowest number from `start` on whose bit is one after exclusive or with `inverted`."""
        if start >= self.size:
            return self.size
        at = start // WORD_BITS
        word = (self.words[at] ^ inverted) >> start % WORD_BITS << start % WORD_BITS
        while word == 0:
            at += 1
            if at == self.word_count:
                return self.size
            word = self.words[at] ^ inverted
        return at * WORD_BITS + trailing_zeros(word)
