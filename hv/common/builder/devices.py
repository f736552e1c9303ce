"""What a domain owns of the machine besides memory and CPUs: devices' registers and interrupts, and the partial device
tree by which its kernel finds them.
"""

from hv.common.builder.module import NO_MODULE, Module
from hv.common.iommu.ranges import MAX_RANGES, StreamRange
from hv.common.mm.types import PAGE_SHIFT, PAGE_SIZE, Gaddr, Gfn, Paddr, gaddr_of
from hv.lang import Final, Iterator, array, bounded, u32, u64, value

MAX_WINDOWS: Final = 16
MAX_INTERRUPTS: Final = 64
MAX_NODES: Final = 16  # of the machine's tree
FRAMES_PER_TABLE: Final = 512


@value
class Window:
    """Whole pages of registers, or of what lies behind a bus, and where a guest has them."""

    start: Paddr
    gfn: Gfn
    frames: u64

    @property
    def end(self) -> Paddr:
        return Paddr(self.start + (self.frames << PAGE_SHIFT))

    @property
    def guest_start(self) -> Gaddr:
        return gaddr_of(self.gfn)

    @property
    def guest_end(self) -> Gaddr:
        return gaddr_of(Gfn(self.gfn + self.frames))


@value
class DeviceInterrupt:
    """Guest and machine have one number for it."""

    number: u32
    edge: bool


class Devices:
    tree: Module  # the partial tree; without bytes there is none, and nothing else here
    tree_room: u64  # bytes that it takes in the guest's tree, at most
    controller: u32  # the phandle that it has for the guest's interrupt controller
    windows: array[Window, MAX_WINDOWS]
    window_count: u32
    interrupts: array[DeviceInterrupt, MAX_INTERRUPTS]
    interrupt_count: u32
    nodes: array[u32, MAX_NODES]  # those of the machine's tree: where they stand in it
    node_count: u32
    streams: array[StreamRange, MAX_RANGES]
    stream_count: u32

    def clear(self) -> None:
        self.tree = NO_MODULE
        self.tree_room = 0
        self.controller = DEFAULT_CONTROLLER
        self.window_count = 0
        self.interrupt_count = 0
        self.node_count = 0
        self.stream_count = 0

    def each_window(self) -> Iterator[Window]:
        for i in bounded(self.window_count, MAX_WINDOWS):
            yield self.windows[i]

    def each_interrupt(self) -> Iterator[DeviceInterrupt]:
        for i in bounded(self.interrupt_count, MAX_INTERRUPTS):
            yield self.interrupts[i]

    def each_streams(self) -> Iterator[StreamRange]:
        for i in bounded(self.stream_count, MAX_RANGES):
            yield self.streams[i]

    @property
    def iommus(self) -> u32:
        """A bit for each IOMMU that these streams are of."""
        bits: u32 = 0
        for streams in self.each_streams():
            bits |= u32(1) << streams.unit
        return bits

    def has_interrupt(self, number: u32) -> bool:
        for interrupt in self.each_interrupt():
            if interrupt.number == number:
                return True
        return False

    def has_node(self, offset: u32) -> bool:
        for i in bounded(self.node_count, MAX_NODES):
            if self.nodes[i] == offset:
                return True
        return False

    @property
    def map_tables(self) -> u32:
        """Frames that the tables of these windows take at most: at each height one table more than they fill."""
        total: u64 = 0
        for window in self.each_window():
            lowest = window.frames // FRAMES_PER_TABLE + 2
            total += lowest + lowest // FRAMES_PER_TABLE + 2
        return u32(total)


DEFAULT_CONTROLLER: Final[u32] = 1


def is_whole(address: u64) -> bool:
    return address % PAGE_SIZE == 0
