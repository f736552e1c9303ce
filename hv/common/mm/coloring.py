"""Colours of the last cache: frames of different colours never displace each other there.

A frame's colour is its number modulo the number of colours, and these are the frames that lie beside each other in a
way of the cache, where a line's place is given by the lower bits of its address, as in Cortex-A53, A57 and A72. More
than there is room for here count as that many: a colour is then several of the cache's.

How large a way is says the command line (`llc-size`, `llc-nr-ways`), or else /chosen, or else the CPU. Frames are told
apart by colours (`bits`) when a domain asks for some, from before the heap begins.

Source: Xen, docs/misc/cache-coloring.rst.
"""

from hv.common.kernel.options import options
from hv.common.lib.parse import boolean, number, size
from hv.common.mm.colors import MAX_COLORS
from hv.common.mm.types import PAGE_SHIFT, Mfn
from hv.lang import Errno, Final, trailing_zeros, truncate, u32, u64


class Coloring:
    off: bool
    size: u64  # of the cache in bytes, as the command line says; 0: it does not
    ways: u64  # the same
    told: u64  # bytes of a way, as /chosen says; 0: it does not
    way: u64  # the same, as the CPU says
    bits: u32  # of a frame's number that are its colour; 0: colours do not matter

    def count(self) -> u32:
        """How many colours there are; 0: that is not known."""
        way = self.told if self.told != 0 else self.way
        if self.size != 0 and self.ways != 0:
            way = self.size // self.ways
        if way == 0 or way & (way - 1) != 0:
            return 0
        return u32(min(way >> PAGE_SHIFT, MAX_COLORS))

    def begin(self) -> None:
        """Colours matter from now on. How many there are is known."""
        self.bits = trailing_zeros(self.count())

    @property
    def in_use(self) -> u32:
        return u32(1) << self.bits

    def of(self, mfn: Mfn) -> u32:
        """A frame's."""
        return truncate(u32, mfn) & self.in_use - 1


coloring: Final = Coloring()


@options.entry(name="llc-coloring")
def llc_coloring(text: str) -> bool:
    try:
        coloring.off = not boolean(text)
    except Errno:
        return False
    return True


@options.entry(name="llc-size")
def llc_size(text: str) -> bool:
    try:
        coloring.size = size(text)
    except Errno:
        return False
    return True


@options.entry(name="llc-nr-ways")
def llc_ways(text: str) -> bool:
    try:
        coloring.ways = number(text)
    except Errno:
        return False
    return True
