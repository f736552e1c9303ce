"""Sets of colours of the last cache (coloring.py), and the heap's lists by colours."""

from hv.common.lib.bitmap import Bitmap
from hv.lang import Final, array, u32

MAX_COLOR_BITS: Final[u32] = 7
MAX_COLORS: Final = 128
COLOR_WORDS: Final = 2
LISTS: Final = 256
LIST_WORDS: Final = 4


class ColorSet:
    members: Bitmap[COLOR_WORDS]

    def __contains__(self, color: u32) -> bool:
        return self.members.test(color)

    @property
    def is_empty(self) -> bool:
        return self.members.is_empty()

    def clear(self) -> None:
        self.members.clear_all()


class ColorLists:
    """The free blocks of a NUMA node that have not all colours, by those that they have.

    Of n colours, list n + c is that of single frames of colour c, and list i // 2 that of the blocks whose halves are
    on list i: a frame of colour c is in a block of one of the lists n + c, (n + c) // 2, … down to 2 or 3, whose blocks
    have half of the colours, or in one that has all.
    """

    first: array[u32, LISTS]  # index of the first free block of each; 0: none
    stocked: Bitmap[LIST_WORDS]  # those that are not empty

    def put(self, at: u32, index: u32) -> None:
        """What list `at` begins with from now on."""
        self.first[at] = index
        if index == 0:
            self.stocked.clear(at)
        else:
            self.stocked.set(at)
