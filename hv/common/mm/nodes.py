"""The machine's NUMA nodes: which memory and which CPUs are near each other.

Firmware calls a node by a number of its own, its proximity domain. Here nodes are counted through from 0, in the order
of these. A machine of which nothing is said has one node, and so has one of which nothing can be
believed; what no node has is node 0's. All is told by the boot CPU, before the heap is started, and stays so.

`numa=off` says that the machine is to have one node (Xen 4.17, docs/misc/xen-command-line.pandoc, numa).
"""

from hv.common.kernel.options import options
from hv.common.lib.parse import boolean
from hv.common.mm.types import Paddr
from hv.lang import Errno, Final, PerCpu, array, bounded, raises, u32, value

MAX_NODES: Final = 64
MAX_SPANS: Final = 256
LAST: Final = Paddr(0xFFFF_FFFF_FFFF_FFFF)


class CpuNode(PerCpu):
    """Where a CPU is. Known before it is started."""

    node: u32


@value
class Span:
    """Bytes start … end - 1, of one node."""

    start: Paddr
    end: Paddr
    node: u32


class Nodes:
    off: bool
    named: u32
    names: array[u32, MAX_NODES]
    spans: array[Span, MAX_SPANS]
    span_count: u32

    @property
    def count(self) -> u32:
        return max(self.named, 1)

    @raises
    def name(self, domain: u32) -> u32:
        """The number of a node, which may be new: then those behind it move on. ENOSPC: there are too many."""
        place: u32 = 0
        for node in bounded(self.named, MAX_NODES):
            if self.names[node] == domain:
                return node
            if self.names[node] < domain:
                place = node + 1
        if self.named == MAX_NODES:
            raise Errno.ENOSPC
        for behind in bounded(self.named - place, MAX_NODES):
            self.names[self.named - behind] = self.names[self.named - behind - 1]
        self.names[place] = domain
        self.named += 1
        for i in bounded(self.span_count, MAX_SPANS):
            span = self.spans[i]
            if span.node >= place:
                self.spans[i] = Span(span.start, span.end, span.node + 1)
        return place

    def number_of(self, domain: u32) -> u32:
        """0 when no node is called so."""
        for node in bounded(self.named, MAX_NODES):
            if self.names[node] == domain:
                return node
        return 0

    @raises
    def add_memory(self, start: Paddr, end: Paddr, domain: u32) -> None:
        """There may be no RAM in it. EEXIST: another node has some of it. ENOSPC: too many nodes or spans."""
        node = self.name(domain)
        for i in bounded(self.span_count, MAX_SPANS):
            span = self.spans[i]
            if start < span.end and span.start < end and span.node != node:
                raise Errno.EEXIST
        if self.span_count == MAX_SPANS:
            raise Errno.ENOSPC
        self.spans[self.span_count] = Span(start, end, node)
        self.span_count += 1

    def forget(self) -> None:
        """The machine has one node."""
        self.named = 0
        self.span_count = 0

    def node_at(self, at: Paddr) -> u32:
        return self._around(at).node

    def piece(self, start: Paddr, end: Paddr) -> Span:
        """The longest piece from `start` on, up to `end` at the most, that one node has."""
        node = self.node_at(start)
        reached = start
        for _ in bounded(self.span_count * 2 + 1, MAX_SPANS * 2 + 1):  # a span, and what lies before the next
            around = self._around(reached)
            if around.node != node:
                break
            reached = around.end
            if reached >= end:
                return Span(start, end, node)
        return Span(start, reached, node)

    def _around(self, at: Paddr) -> Span:
        """From `at` to the end of the span that it lies in, or to the start of the next."""
        end = LAST
        for i in bounded(self.span_count, MAX_SPANS):
            span = self.spans[i]
            if span.start <= at < span.end:
                return Span(at, span.end, span.node)
            if at < span.start:
                end = min(end, span.start)
        return Span(at, end, 0)


nodes: Final = Nodes()


@options.entry(name="numa")
def numa(text: str) -> bool:
    """`noacpi` is what `off` is here: nobody else knows of nodes."""
    if text == "noacpi":
        nodes.off = True
        return True
    try:
        nodes.off = not boolean(text)
    except Errno:
        return False
    return True
