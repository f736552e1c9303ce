"""What the page-table engine asks of a format of translation tables, and of the hardware that walks them.

Tables hold 512 entries of 8 bytes. An entry's height counts from the bottom: at height 0 an entry maps one frame, at
height h it spans 512**h frames (1: 2 MiB, 2: 1 GiB, 3: 512 GiB). An entry is absent, a leaf, or names a table of the
height below.

`Format` and `Walker` are sets of static functions that the engine is built with, so they cost no call.
"""

from hv.common.mm.types import Mfn
from hv.lang import Bits, Field, Final, Protocol, U8Enum, U8Flag, u16, u32, u64

ENTRIES: Final[u64] = 512
ENTRY_BYTES: Final[u64] = 8
HEIGHT_BITS: Final = 9  # each height above a frame adds so many bits
MAX_HEIGHT: Final = 3  # of an entry in the root of four levels


class Access(U8Flag):
    R = 1
    W = 2
    X = 4


class Memory(U8Enum):
    """How an access to the frame behaves."""

    NORMAL = 0  # cached, write-back
    DEVICE = 1  # not cached, not gathered, in order
    UNCACHED = 2  # memory that caches pass by


class Attributes(Bits[u16]):
    """What a leaf says besides where it leads."""

    access = Field(2, 0, of=Access)
    memory = Field(5, 4, of=Memory)
    kind = Field(11, 8)  # four bits that the walker ignores; the tables' owner gives them a meaning


class Format(Protocol):
    """How entries are written. Pure functions."""

    @staticmethod
    def top() -> u32:
        """The height of the root's entries."""
        ...

    @staticmethod
    def root_order() -> u32:
        """The root may be several tables in a row, 2**order of them."""
        ...

    @staticmethod
    def limit() -> u64:
        """One more than the greatest frame number that can be mapped."""
        ...

    @staticmethod
    def has_leaf(height: u32) -> bool:
        """Whether a leaf may stand at this height."""
        ...

    @staticmethod
    def breaks_before_make() -> bool:
        """Whether an entry that changes what it leads to must be absent, and flushed, in between."""
        ...

    @staticmethod
    def is_present(entry: u64) -> bool: ...

    @staticmethod
    def is_leaf(entry: u64, height: u32) -> bool:
        """Of a present entry."""
        ...

    @staticmethod
    def target(entry: u64, height: u32) -> Mfn:
        """The first frame of what a leaf maps, or the table that the entry names."""
        ...

    @staticmethod
    def attributes(entry: u64, height: u32) -> Attributes:
        """Of a leaf."""
        ...

    @staticmethod
    def leaf(mfn: Mfn, height: u32, attributes: Attributes) -> u64: ...

    @staticmethod
    def table(mfn: Mfn) -> u64: ...


class Walker(Protocol):
    """The hardware that reads the tables and caches what it read."""

    @staticmethod
    def view(table: Mfn) -> u64:
        """Where the hypervisor itself sees a table."""
        ...

    @staticmethod
    def snoops() -> bool:
        """Whether it sees stores that are still in a CPU's cache. Otherwise each store is cleaned to memory."""
        ...

    @staticmethod
    def caches_absent() -> bool:
        """Whether it may remember that an entry was absent, so that a new mapping needs a flush too."""
        ...

    @staticmethod
    def invalidate(root: Mfn, tag: u16, start: u64, frames: u64, order: u32) -> None:
        """Forgets what it caches for the frames from `start`, table entries on the way there included; nothing smaller
        than 2**order frames is mapped there. Completes before it returns. `tag` names the address space (VMID)."""
        ...
