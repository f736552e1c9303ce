"""Who controls tracing: the buffers' memory, which events each CPU records, and when.

These are the operations of XEN_SYSCTL_tbuf_op (public/sysctl.h). A tool finds the buffers by the pages of `TraceInfo`
(public/trace.h: struct t_info): for each CPU an offset, in words, to the list of its frames. Buffers have one size for
ever, and only the CPUs that are online when they are made have one.

On the command line `tbuf_size=<pages>` makes them at boot, and `tevt_mask=<events>` with it starts tracing. Without
the first the second does nothing, as in Xen.

`TraceControl.lock` protects what is chosen here; what a CPU records is its own (hv/common/kernel/tracer.py).
"""

from hv.arch import cpu_id, direct_address
from hv.common.kernel import log
from hv.common.kernel.console import console
from hv.common.kernel.cpus import online
from hv.common.kernel.crosscall import call_others
from hv.common.kernel.keys import Output, keys
from hv.common.kernel.options import options
from hv.common.kernel.rank import Rank
from hv.common.kernel.softirq import Softirq, handlers
from hv.common.kernel.spinlock import Held, SpinLock
from hv.common.kernel.survey import ask_each
from hv.common.kernel.trace_events import ALL_EVENTS
from hv.common.kernel.trace_text import RecordText
from hv.common.kernel.tracer import RECENT, Tracer
from hv.common.kernel.work import Progress
from hv.common.lib.bitmap import Bitmap
from hv.common.lib.parse import number
from hv.common.mm.heap import heap
from hv.common.mm.nodes import CpuNode
from hv.common.mm.types import PAGE_SIZE, Mfn, paddr_of
from hv.config import CONFIG_NR_CPUS
from hv.lang import (
    Callable,
    Errno,
    Final,
    Registry,
    abi,
    array,
    bounded,
    leading_zeros,
    ptr,
    raises,
    size_of,
    u16,
    u32,
    u64,
    value,
)

CPU_WORDS: Final = (CONFIG_NR_CPUS + 63) // 64
WORD: Final[u32] = 4
MOST_PAGES: Final[u32] = 0xFFFF  # what tbuf_size and an offset of TraceInfo can say


@abi("xen/trace.h", "struct t_info")
class TraceInfo:
    """Behind it, for each CPU, the offset of its list (u16); behind these the lists (u32)."""

    tbuf_size: u16


FIRST_LIST: Final[u32] = (2 + 2 * CONFIG_NR_CPUS + 3) // 4  # words


@value
class TraceBuffers:
    """What XEN_SYSCTL_TBUFOP_get_info tells."""

    events: u32
    mfn: Mfn  # of TraceInfo; 0: there are no buffers
    bytes: u32  # that TraceInfo and its lists take, in whole pages


@value
class TraceWatcher:
    """Is told when a buffer has become half full, in softirq TRACE: VIRQ_TBUF for whoever reads it."""

    half_full: Callable[[], None]


watchers: Final = Registry[TraceWatcher]()


class TraceControl:
    lock: SpinLock[Rank.TRACE]
    events: u32
    cpus: Bitmap[CPU_WORDS]
    enabled: bool
    pages: u32  # of each CPU's buffer; 0: none
    info: Mfn
    info_pages: u32
    buffers: array[Mfn, CONFIG_NR_CPUS]

    def init(self) -> None:
        """All events, on all CPUs, but nothing yet."""
        self.events = ALL_EVENTS
        self.cpus.set_range(0, CONFIG_NR_CPUS)

    def get_info(self) -> TraceBuffers:
        with self.lock:
            return TraceBuffers(self.events, self.info, self.info_pages * PAGE_SIZE)

    def set_cpu_mask(self, cpus: Bitmap[CPU_WORDS]) -> None:
        with self.lock as held:
            self.cpus.copy_from(cpus)
            self._apply(held)

    def set_evt_mask(self, events: u32) -> None:
        with self.lock as held:
            self.events = events
            self._apply(held)

    @raises
    def set_size(self, pages: u32) -> None:
        """Makes each CPU's buffer, of so many pages or of as many as there can be. EINVAL: none, or they have another
        size already. EBUSY: they have this one. ENOMEM.
        """
        with self.lock:
            if pages == 0 or (self.pages != 0 and pages != self.pages):
                raise Errno.EINVAL
            if self.pages != 0:
                raise Errno.EBUSY
            self._make(min(pages, most_pages()))

    @raises
    def enable(self) -> None:
        """EINVAL: there are no buffers."""
        with self.lock as held:
            if self.pages == 0:
                raise Errno.EINVAL
            self.enabled = True
            self._apply(held)

    def disable(self) -> None:
        """When it returns no CPU records any more. The caller holds no lock."""
        with self.lock as held:
            self.enabled = False
            self._apply(held)
        forget_lost(0)
        call_others(forget_lost, 0)

    def _apply(self, held: Held[Rank.TRACE]) -> None:
        for cpu in range(CONFIG_NR_CPUS):
            records = self.enabled and self.cpus.test(cpu) and self.buffers[cpu] != 0
            Tracer.on(cpu).want(self.events if records else 0)

    @raises
    def _make(self, pages: u32) -> None:
        bytes = (FIRST_LIST + len(online) * pages) * WORD
        info_pages = (bytes + (PAGE_SIZE - 1)) // PAGE_SIZE
        with heap.allocated(order_of(info_pages)) as lists:
            try:
                self._make_buffers(pages)
            except Errno:
                self._drop_buffers(pages)
                raise
            self.info = lists.mfn
            self.info_pages = info_pages
            self.pages = pages
            self._write_lists()
            lists.keep()

    @raises
    def _make_buffers(self, pages: u32) -> None:
        """A block each, of which the heap has back what is too much. ENOMEM."""
        for cpu in online:
            mfn = heap.allocate_zeroed_near(order_of(pages), CpuNode.on(cpu).node)
            end = Mfn(mfn + (u64(1) << order_of(pages)))
            heap.give(Mfn(mfn + u64(pages)), end)
            self.buffers[cpu] = mfn
            Tracer.on(cpu).ring.attach(direct_address(paddr_of(mfn)), pages * PAGE_SIZE)
            if end >> 32 != 0:
                raise Errno.ENOMEM  # a list has 32 bits for each frame

    def _drop_buffers(self, pages: u32) -> None:
        for cpu in range(CONFIG_NR_CPUS):
            mfn = self.buffers[cpu]
            if mfn != 0:
                Tracer.on(cpu).ring.detach()
                self.buffers[cpu] = Mfn(0)
                heap.give(mfn, Mfn(mfn + u64(pages)))

    def _write_lists(self) -> None:
        start = direct_address(paddr_of(self.info))
        ptr[TraceInfo](start).ref().tbuf_size = u16(self.pages)
        offsets = ptr[u16](start + size_of(TraceInfo))
        words = ptr[u32](start)
        at = FIRST_LIST
        for cpu in online:
            offsets[cpu] = u16(at)
            for i in bounded(self.pages, MOST_PAGES):
                words[at] = u32(self.buffers[cpu] + u64(i))
                at += 1


control: Final = TraceControl()


def most_pages() -> u32:
    """So that the last CPU's list begins at an offset of 16 bits."""
    return min(MOST_PAGES, (MOST_PAGES - FIRST_LIST) // max(CONFIG_NR_CPUS - 1, 1))


def order_of(pages: u32) -> u32:
    """Of the smallest block with so many pages, at least one."""
    return 0 if pages == 1 else 32 - leading_zeros(pages - 1)


def forget_lost(argument: u64) -> None:
    """On each CPU, when tracing has ended: the next trace does not begin with what this one lost."""
    Tracer.this().ring.forget_lost()


@handlers.entry(softirq=Softirq.TRACE)
def buffer_half_full() -> None:
    for watcher in watchers:
        watcher.half_full()


# At boot


class Asked:
    """By the command line."""

    pages: u32
    events: u32


asked: Final = Asked()


@options.entry(name="tbuf_size")
def tbuf_size(text: str) -> bool:
    try:
        asked.pages = u32(min(number(text), u64(MOST_PAGES)))
    except Errno:
        return False
    return True


@options.entry(name="tevt_mask")
def tevt_mask(text: str) -> bool:
    try:
        mask = number(text)
    except Errno:
        return False
    if mask >> 32 != 0:
        return False
    asked.events = u32(mask)
    return True


def start_tracing() -> None:
    """When the CPUs are online: what the command line asks for."""
    control.init()
    if asked.pages == 0:
        if asked.events != 0:
            log.warning("tevt_mask needs tbuf_size, the pages of each CPU's trace buffer: nothing is traced")
        return
    try:
        control.set_size(asked.pages)
        if asked.events != 0:
            control.set_evt_mask(asked.events)
            control.enable()
    except Errno as e:
        log.warning(f"trace buffers of {asked.pages} pages for each CPU cannot be made: {e.name}")
        return
    events = control.events if control.enabled else 0
    info = paddr_of(control.info)
    log.info(f"trace buffers of {control.pages} pages for each CPU, events {events:#x}, listed at {info:#x}")


# To be looked at


@keys.entry(character="T", help="shows what was traced last", shows=True)
def show_trace(output: Output) -> Progress:
    """Each CPU prints its own records: no other may read them while it runs."""
    if output.row == 0 and output.part == 0:
        state = "on" if control.enabled else "off"
        console.print(f"tracing is {state}: {control.pages} pages for each CPU, events {control.events:#x}")
    return ask_each(output, show_this_cpu)


def show_this_cpu() -> None:
    tracer = Tracer.this()
    ring = tracer.ring
    console.print(f"CPU {cpu_id()}: {tracer.recorded} records, {ring.unread} bytes unread, {ring.lost} lost")
    text = RecordText()
    for record in tracer.last(RECENT):
        console.print(f"  {text.write(record)}")
