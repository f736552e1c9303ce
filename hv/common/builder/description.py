"""What the device tree says of each domain that is to be built, checked; kept as long as the machine runs, for a
reset.
"""

from hv.common.builder.devices import Devices
from hv.common.builder.file_lines import FileLines
from hv.common.builder.memory_map import Bank, lower_bank, upper_bank
from hv.common.builder.module import Module
from hv.common.builder.shares import Shares
from hv.common.lib.bitmap import Bitmap
from hv.common.lib.image import Image
from hv.common.lib.span import Bytes
from hv.common.mm.colors import ColorSet
from hv.common.mm.set_aside import MAX_RUNS, SetAside
from hv.common.mm.types import PAGE_SHIFT, DomId, Gaddr, gaddr_of
from hv.common.model.domain import MAX_DOMAINS
from hv.common.model.vcpu import CPU_WORDS, MAX_VCPUS
from hv.lang import Embedded, Final, Iterator, array, bounded, u32, u64, value


@value
class Segment:
    """A part of a file that goes to a place of its own, counted from the start of the domain's memory."""

    contents: Bytes
    to: u64


MAX_SEGMENTS: Final = 16
MAX_BANKS: Final = MAX_RUNS


class Description:
    """A domain as it is to be. Texts lie in the device tree."""

    id: DomId
    name: str
    frames: u64
    set_aside: Embedded[SetAside]  # its memory, unless that comes from the heap
    colors: Embedded[ColorSet]  # of its memory; empty: any
    vcpus: u32
    uart: bool
    spis: u32  # shared interrupts that it has at least
    fixed_spis: bool  # … and no more are wanted
    devices: Embedded[Devices]
    shares: Embedded[Shares]
    restarts_on_reboot: bool  # built anew when it resets itself
    restarts_on_crash: bool  # and when it crashes
    restarts_on_watchdog: bool  # and when its watchdog runs out
    reads_as_ones: bool  # where nothing is; otherwise such an access aborts
    bootargs: str
    kernel: Module
    image: Image  # what an Image's header says
    segments: array[Segment, MAX_SEGMENTS]  # of the kernel, or of what unpacks it
    segment_count: u32
    entry: u64  # where an ELF file's kernel begins
    kernel_end: u64  # and where it ends, counted in the same way
    packed: bool  # the kernel is unpacked in the domain: its file is the last segment
    ramdisk: Module
    affinity: array[Bitmap[CPU_WORDS], MAX_VCPUS]  # empty: any CPU
    lines: FileLines  # of the partition file that describes it

    @property
    def bank_count(self) -> u32:
        """How many banks of memory it has for its kernel."""
        if self.set_aside.direct:
            return self.set_aside.count
        return 1 if upper_bank(self.frames).bytes == 0 else 2

    def bank(self, index: u32) -> Bank:
        """Where it finds the one of that number."""
        if self.set_aside.direct:
            run = self.set_aside.runs[index]
            return Bank(gaddr_of(run.gfn), run.frames << PAGE_SHIFT)
        return lower_bank(self.frames) if index == 0 else upper_bank(self.frames)

    def banks(self) -> Iterator[Bank]:
        for i in bounded(self.bank_count, MAX_BANKS):
            yield self.bank(i)

    def has_memory_in(self, start: Gaddr, end: Gaddr) -> bool:
        """Whether some of its memory is there."""
        for bank in self.banks():
            if bank.start < end and start < bank.end:
                return True
        return False


class Descriptions:
    table: array[Description, MAX_DOMAINS]
    count: u32

    def __iter__(self) -> Iterator[Description]:
        for i in bounded(self.count, MAX_DOMAINS):
            yield self.table[i]


descriptions: Final = Descriptions()
