"""Guests whose kernel is packed: what is started in them is a program of the image (loader/x86), and unpacks it there.

The hypervisor knows such a file by its header, and looks no further into it. The file, the ramdisk and the start
information lie at the end of the memory, out of the way of the kernel.
"""

from hv.common.builder.description import Description, Segment
from hv.common.builder.loader import Placement
from hv.common.builder.memory_map import lower_bank
from hv.common.lib.bzimage import is_bzimage
from hv.common.lib.span import Bytes
from hv.common.mm.types import PAGE_SIZE, Gaddr
from hv.lang import Errno, Final, raises, symbol, u64

EARLY_END: Final[u64] = 0x3800_0000  # what a 32-bit Linux, and a 64-bit one at its beginning, have mapped ends here


class Unpacker:
    program: Bytes  # an ELF file with a PVH entry, once it has been found

    def find_program(self) -> None:
        """Where the link put it."""
        start = symbol("__loader_start")
        self.program = Bytes(start, symbol("__loader_end") - start)


unpacker: Final = Unpacker()


def is_packed(file: Bytes) -> bool:
    """Whether it is a kernel that can be unpacked."""
    return unpacker.program.length != 0 and is_bzimage(file)


@raises
def place_packed(description: Description, information: u64) -> Placement:
    """With start information of so many bytes. The file is the last segment. ENOSPC."""
    end = min(lower_bank(description.frames).bytes, EARLY_END)
    file = page_below(end, description.kernel.bytes)
    ramdisk = page_below(file, description.ramdisk.bytes)
    start = page_below(ramdisk, information)
    if start < description.kernel_end:
        raise Errno.ENOSPC
    description.segments[description.segment_count - 1] = Segment(description.kernel.contents, file)
    return Placement(Gaddr(description.entry), Gaddr(start), Gaddr(ramdisk))


def page_below(end: u64, bytes: u64) -> u64:
    """The last page boundary from which so many bytes end at `end` or before; 0: there are not so many."""
    return (end - bytes) & ~u64(PAGE_SIZE - 1) if bytes <= end else 0
