"""A CPU's trace buffer in memory that a tool maps: records one behind the other, in a ring.

The buffer begins with `cons` and `prod`, offsets into the data behind them modulo twice its size. The hypervisor alone
writes records and `prod`, the tool `cons`: what it writes there is looked at once and believed only when it can be. A
record never lies on both sides of the end: what is left there takes a record of its own, TRACE_WRAP_BUFFER. When the
tool is behind and there is no room, records are lost; LOST_RECORDS, with their number, stands before the next one.

Only the buffer's CPU writes, with interrupts masked: no lock. A record is whole before `prod` tells of it.

Source: public/trace.h: struct t_buf, t_rec.
"""

from hv.common.kernel.time import Ticks
from hv.common.kernel.trace_events import MAX_EXTRA, Event
from hv.lang import Atomic, Bits, Field, Final, array, bounded, embedded, ptr, size_of, truncate, u32, u64

HEADER_BYTES: Final[u32] = 4
TIME_BYTES: Final[u32] = 8
LOST_EXTRA: Final[u32] = 4
WORD: Final[u32] = 4


class Header(Bits[u32]):
    """The first word of a record (struct t_rec)."""

    event = Field(27, 0)
    extra = Field(30, 28)  # how many words follow, besides the time
    timed = Field(31)  # the time follows: two words


class BufferHead:
    """struct t_buf; the data follow."""

    cons: Atomic[u32]
    prod: Atomic[u32]


class TraceRecord:
    """A record before it is written."""

    event: Event
    variant: u32  # bits that the number has besides the event's own
    at: Ticks
    count: u32
    extra: array[u32, MAX_EXTRA]

    @property
    def header(self) -> Header:
        return Header(event=u32(self.event) | self.variant, extra=self.count, timed=True)

    @property
    def bytes(self) -> u32:
        return HEADER_BYTES + TIME_BYTES + self.count * WORD


@embedded
class TraceRing:
    head: BufferHead | None  # None: there is no memory for records
    data: u64  # address
    size: u32  # bytes of data, whole words
    prod: u32  # as in the buffer, where the tool could change it
    lost: u32
    lost_since: Ticks

    def attach(self, address: u64, bytes: u32) -> None:
        """Uses cleared memory at an aligned address."""
        self.head = ptr[BufferHead](address).ref()
        self.data = address + size_of(BufferHead)
        self.size = bytes - u32(size_of(BufferHead))
        self.prod = 0
        self.lost = 0

    def detach(self) -> None:
        self.head = None

    @property
    def unread(self) -> u32:
        """Bytes."""
        head = self.head
        return 0 if head is None else self._unread(head.cons.load_acquire())

    def forget_lost(self) -> None:
        self.lost = 0

    def put(self, record: TraceRecord, running: u32) -> bool:
        """Writes a record, or counts it as lost. `running`: the vCPU that LOST_RECORDS names. True: with it the buffer
        became half full, and the tool is to be told.
        """
        head = self.head
        if head is None:
            return False
        unread = self._unread(head.cons.load_acquire())
        needed = self._needed(record.bytes)
        if needed > self.size - unread:
            if self.lost == 0:
                self.lost_since = record.at
            self.lost += 1
            return False
        if self.lost != 0:
            self._tell_lost(record.at, running)
        self._write(record)
        head.prod.store_release(self.prod)
        half = self.size // 2
        return unread < half and half <= unread + needed

    def _unread(self, cons: u32) -> u32:
        """Bytes that the tool has not consumed. One that writes nonsense finds its buffer full."""
        ahead = self.prod - cons if self.prod >= cons else self.prod + 2 * self.size - cons
        return ahead if cons < 2 * self.size and cons % WORD == 0 and ahead <= self.size else self.size

    @property
    def _offset(self) -> u32:
        return self.prod if self.prod < self.size else self.prod - self.size

    def _needed(self, bytes: u32) -> u32:
        """What a record takes, with what has to stand before it."""
        at = self._offset
        if self.lost == 0:
            return self._span(at, bytes)
        lost = self._span(at, HEADER_BYTES + TIME_BYTES + LOST_EXTRA * WORD)
        behind = at + lost
        return lost + self._span(behind if behind < self.size else behind - self.size, bytes)

    def _span(self, at: u32, bytes: u32) -> u32:
        """What a record takes from `at` on: also what is left before the end, when that is too little for it."""
        left = self.size - at
        return bytes if bytes <= left else left + bytes

    def _advance(self, bytes: u32) -> None:
        behind = self.prod + bytes
        self.prod = behind if behind < 2 * self.size else behind - 2 * self.size

    def _tell_lost(self, at: Ticks, running: u32) -> None:
        record = TraceRecord()
        record.event = Event.LOST_RECORDS
        record.at = at
        record.count = LOST_EXTRA
        record.extra[0] = self.lost
        record.extra[1] = running
        record.extra[2] = truncate(u32, self.lost_since)
        record.extra[3] = truncate(u32, self.lost_since >> 32)
        self._write(record)
        self.lost = 0

    def _write(self, record: TraceRecord) -> None:
        """There is room."""
        left = self.size - self._offset
        if record.bytes > left:
            self._fill(left)
        words = ptr[u32](self.data + u64(self._offset))
        words[0] = record.header.raw
        words[1] = truncate(u32, record.at)
        words[2] = truncate(u32, record.at >> 32)
        for i in bounded(record.count, MAX_EXTRA):
            words[3 + i] = record.extra[i]
        self._advance(record.bytes)

    def _fill(self, left: u32) -> None:
        """Takes what is left before the end with a record that says no more."""
        words = left // WORD - 1
        timed = words > MAX_EXTRA
        header = Header(event=u32(Event.TRACE_WRAP_BUFFER), extra=words - 2 if timed else words, timed=timed)
        at = ptr[u32](self.data + u64(self._offset))
        at[0] = header.raw
        for i in bounded(words, MAX_EXTRA + 2):
            at[1 + i] = 0
        self._advance(left)
