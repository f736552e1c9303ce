"""What each CPU traces: the events that it is to record, its buffer, and its last records.

Only the CPU itself records, with interrupts masked; handlers of NMIs and machine checks, which come all the same, do
not. The last records are kept apart from the buffer, in memory that no tool can reach: they are there for a panic also
when the buffer is full, and are read by the CPU itself, or when it is stopped.

Who controls tracing (hv/common/mm/trace_control.py) attaches the buffer, and then says what is wanted.
"""

from hv.arch import ticks
from hv.common.kernel.softirq import Softirq, raise_softirq
from hv.common.kernel.trace_events import CLASSES, MAX_EXTRA, SUBCLASSES, Event
from hv.common.kernel.trace_ring import TraceRecord, TraceRing
from hv.lang import Atomic, Final, Iterator, PerCpu, array, bounded, rarely, u32

RECENT: Final = 16


class Tracer(PerCpu):
    mask: Atomic[u32]  # the events that are recorded; 0: none
    ring: TraceRing
    running: u32  # the vCPU that runs: its domain, and its number from bit 16 on
    recent: array[TraceRecord, RECENT]
    recorded: u32  # how many were put into `recent`

    @property
    def active(self) -> bool:
        return self.mask.load_relaxed() != 0

    def want(self, events: u32) -> None:
        """From any CPU, behind what it needs for that."""
        self.mask.store_release(events)

    @rarely
    def record(
        self,
        event: Event,
        count: u32,
        a: u32 = 0,
        b: u32 = 0,
        c: u32 = 0,
        d: u32 = 0,
        variant: u32 = 0,
    ) -> None:
        """Records an event with `count` words, if it is wanted."""
        wanted = self.mask.load_acquire() & u32(event)
        if wanted & CLASSES == 0 or wanted & SUBCLASSES == 0:
            return
        record = self.recent[self.recorded % RECENT]
        record.event = event
        record.variant = variant
        record.at = ticks()
        record.count = count
        record.extra[0] = a
        record.extra[1] = b
        record.extra[2] = c
        record.extra[3] = d
        for i in bounded(4, count, MAX_EXTRA):
            record.extra[i] = 0
        self.recorded += 1
        if self.ring.put(record, self.running):
            raise_softirq(Softirq.TRACE)

    def last(self, most: u32) -> Iterator[TraceRecord]:
        """The last records, the oldest first."""
        kept = min(min(self.recorded, RECENT), most)
        for i in bounded(kept, RECENT):
            yield self.recent[(self.recorded - kept + i) % RECENT]
