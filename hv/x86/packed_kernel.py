"""Guests whose kernel is packed: what is started in them is a program of the image (loader/x86), and unpacks it there.

The hypervisor knows such a file by its header, and looks no further into it. The file and the ramdisk lie below the
start information, which is at the end of the memory: out of the way of the kernel.
"""

from hv.common.builder.description import Description, Segment
from hv.common.builder.loader import Placement
from hv.common.lib.bzimage import is_bzimage
from hv.common.lib.span import Bytes
from hv.common.mm.types import Gaddr
from hv.lang import Errno, Final, raises, symbol, u64
from hv.x86.hvm.guest_map import page_below


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
    """Below the start information. The file is the last segment. ENOSPC."""
    file = page_below(information, description.kernel.bytes)
    ramdisk = page_below(file, description.ramdisk.bytes)
    if ramdisk < description.kernel_end:
        raise Errno.ENOSPC
    description.segments[description.segment_count - 1] = Segment(description.kernel.contents, file)
    return Placement(Gaddr(description.entry), Gaddr(information), Gaddr(ramdisk))
