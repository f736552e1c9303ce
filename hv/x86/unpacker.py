"""What is started in a guest whose kernel is packed: a program of the image (loader/x86), which unpacks it there.

The hypervisor knows such a file by its header, and looks no further into it.
"""

from hv.common.lib.span import Bytes
from hv.lang import Final


class Unpacker:
    program: Bytes  # an ELF file with a PVH entry; without bytes: kernels have to be unpacked already


unpacker: Final = Unpacker()
