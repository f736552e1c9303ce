"""Which numbers of a region are taken: ranges of pages, each with free pages around it.

`GUARD` pages before and behind a range belong to no other, so that an access beyond its end meets nothing. The
lowest place that fits is taken. The owner's lock protects it.
"""

from hv.common.kernel.panic import panic
from hv.lang import Errno, Final, array, bounded, raises, u32, u64, value

MAX_RANGES: Final = 128
GUARD: Final[u64] = 1  # pages


@value
class PageRange:
    """Pages start … end - 1."""

    start: u64
    end: u64
    leaving: bool  # it is being given back


class PageRanges:
    first: u64  # pages first … end - 1 are the region
    end: u64
    ranges: array[PageRange, MAX_RANGES]  # those that are taken, in order
    count: u32

    def init(self, first: u64, end: u64) -> None:
        self.first = first
        self.end = end
        self.count = 0

    @raises
    def take(self, pages: u64, like: u64, alignment: u64) -> u64:
        """Takes a range, as far from a multiple of `alignment` (a power of two) as `like` is. EINVAL: no pages.
        ENOMEM: no place that fits, or too many ranges."""
        if pages == 0:
            raise Errno.EINVAL
        if pages > self.end - self.first or self.count == MAX_RANGES:
            raise Errno.ENOMEM
        free = self.first
        for i in bounded(self.count + 1, MAX_RANGES + 1):
            at = free + GUARD
            at += (like - at) & (alignment - 1)
            if at + pages + GUARD <= self._end_of_hole(i):
                self._insert(i, PageRange(at, at + pages, False))
                return at
            if i != self.count:
                free = self.ranges[i].end
        raise Errno.ENOMEM

    def leave(self, at: u64) -> u64:
        """The range that begins at `at` is going to be given back: its pages."""
        place = self._place(at)
        found = self.ranges[place]
        assert not found.leaving, "an address range is given back twice"
        self.ranges[place] = PageRange(found.start, found.end, True)
        return found.end - found.start

    def give_back(self, at: u64) -> None:
        """Nothing refers any more to the range that begins at `at`."""
        place = self._place(at)
        for i in bounded(place + 1, self.count, MAX_RANGES + 1):
            self.ranges[i - 1] = self.ranges[i]
        self.count -= 1

    def overlaps(self, start: u64, pages: u64) -> bool:
        """Whether some of these pages lie in the region."""
        return start < self.end and self.first < start + pages

    def _end_of_hole(self, place: u32) -> u64:
        return self.end if place == self.count else self.ranges[place].start

    def _place(self, at: u64) -> u32:
        for i in bounded(self.count, MAX_RANGES):
            if self.ranges[i].start == at:
                return i
        panic("an address is given back that no range begins at")

    def _insert(self, place: u32, added: PageRange) -> None:
        for i in bounded(self.count - place, MAX_RANGES):
            self.ranges[self.count - i] = self.ranges[self.count - i - 1]
        self.ranges[place] = added
        self.count += 1
