"""The frame table: one record for each frame of the machine's memory.

Banks of memory lie anywhere in the physical address space; their records are counted through by a compact index, from
1, so that 0 means no frame and a record names another in four bytes. A record's `use` says which other fields hold:

| use | fields |
| --- | --- |
| RESERVED | none: what the heap never had (the image, firmware), or the inside of a block that begins before it |
| FREE | `order`, `next`, `previous`: the first frame of a free block of the heap, on the heap's list for that order |
| TAKEN | `order`: the first frame of a block that the heap has handed out |
| OWNED | `owner`, `count`: a frame of a domain; it goes back to the heap when the last reference is dropped |

The heap's lock protects FREE and TAKEN records; a record's `use` may be read by anybody. A frame is made OWNED before
anybody else knows it, and afterwards `count` rules it.
"""

from hv.arch import direct_address, zero_bytes
from hv.common.mm.types import NOBODY, DomId, Mfn, Paddr
from hv.lang import Atomic, Errno, Final, Iterator, U8Enum, array, bounded, ptr, raises, size_of, u8, u32, u64

MAX_BANKS: Final = 128
NO_FRAME: Final[u32] = 0


class Use(U8Enum):
    RESERVED = 0
    FREE = 1
    TAKEN = 2
    OWNED = 3


class Frame:
    """16 bytes for each 4 KiB."""

    owner: DomId
    use: Atomic[Use]  # the heap looks at the neighbour of a block that it takes back, whoever has that
    order: u8
    count: Atomic[u32]
    next: u32
    previous: u32

    def used_as(self, use: Use) -> bool:
        return self.use.load_relaxed() == use

    def become(self, use: Use) -> None:
        self.use.store_relaxed(use)

    def own(self, owner: DomId) -> None:
        """Makes it a domain's, with one reference."""
        self.owner = owner
        self.become(Use.OWNED)
        self.order = 0
        self.count.store_release(1)

    def disown(self) -> None:
        """Behind the last reference: ready to be given to the heap."""
        self.owner = NOBODY
        self.become(Use.RESERVED)


class Bank:
    """Frames in a row, of one NUMA node."""

    start: Mfn
    frames: u32
    first: u32  # index of the first frame
    records: u64  # address of its record
    node: u32

    @property
    def end(self) -> u64:
        """The number of the frame behind the last."""
        return self.start + u64(self.frames)

    def __contains__(self, mfn: Mfn) -> bool:
        return mfn - self.start < u64(self.frames)  # wraps when the frame lies below the bank

    def index_of(self, mfn: Mfn) -> u32:
        """Of a frame of this bank."""
        return self.first + self.offset_of(mfn)

    def offset_of(self, mfn: Mfn) -> u32:
        """Of a frame of this bank."""
        return u32(mfn - self.start)

    def record(self, offset: u32) -> Frame:
        assert offset < self.frames, "frame beyond its bank"
        return ptr[Frame](self.records + u64(offset) * size_of(Frame)).ref()


class FrameTable:
    banks: array[Bank, MAX_BANKS]
    bank_count: u32
    frames: u32  # in all banks

    @staticmethod
    def bytes_for(frames: u64) -> u64:
        """The memory that so many records take."""
        return frames * size_of(Frame)

    @raises
    def add_bank(self, start: Mfn, frames: u64, storage: Paddr, node: u32) -> None:
        """Adds a bank of a NUMA node, whose records lie at `storage`: all RESERVED. E2BIG: more banks or frames than
        the table can count."""
        if self.bank_count == MAX_BANKS or frames >= 0xFFFF_FFFF - u64(self.frames):
            raise Errno.E2BIG
        bank = self.banks[self.bank_count]
        bank.start = start
        bank.frames = u32(frames)
        bank.first = self.frames + 1
        bank.records = direct_address(storage)
        bank.node = node
        zero_bytes(bank.records, self.bytes_for(frames))
        self.bank_count += 1
        self.frames += bank.frames

    def __iter__(self) -> Iterator[Bank]:
        for i in bounded(self.bank_count, MAX_BANKS):
            yield self.banks[i]

    def index_of(self, mfn: Mfn) -> u32:
        """NO_FRAME: not memory."""
        bank = self._bank_with(mfn)
        return NO_FRAME if bank is None else bank.index_of(mfn)

    def mfn_at(self, index: u32) -> Mfn:
        bank = self.bank_at(index)
        return Mfn(bank.start + u64(index - bank.first))

    def at(self, index: u32) -> Frame:
        bank = self.bank_at(index)
        return bank.record(index - bank.first)

    def find(self, mfn: Mfn) -> Frame | None:
        """None: not memory."""
        bank = self._bank_with(mfn)
        return None if bank is None else bank.record(bank.offset_of(mfn))

    def record(self, mfn: Mfn) -> Frame:
        """Of a frame that is known to be memory."""
        bank = self.bank_of(mfn)
        return bank.record(bank.offset_of(mfn))

    def bank_of(self, mfn: Mfn) -> Bank:
        """Of a frame that is known to be memory. A block of the heap lies in one bank."""
        bank = self._bank_with(mfn)
        assert bank is not None, "no such frame"
        return bank

    def _bank_with(self, mfn: Mfn) -> Bank | None:
        for i in bounded(self.bank_count, MAX_BANKS):
            bank = self.banks[i]
            if mfn in bank:
                return bank
        return None

    def bank_at(self, index: u32) -> Bank:
        """Of a frame by its index."""
        assert index != NO_FRAME and index <= self.frames, "no such frame"
        for i in bounded(self.bank_count, MAX_BANKS):
            if index - self.banks[i].first < self.banks[i].frames:
                return self.banks[i]
        return self.banks[0]


frames: Final = FrameTable()
