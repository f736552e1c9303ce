"""How guests of an architecture are given their kernel, and what they find when they begin.

The architecture sets `loading.loader` before the first description is read.
"""

from hv.common.builder.description import Description
from hv.common.lib.span import Bytes
from hv.common.mm.types import Gaddr
from hv.lang import Final, Protocol, raises, u64, value


@value
class Placement:
    """Where a domain's parts go in its memory."""

    kernel: Gaddr  # where its first vCPU begins
    tree: Gaddr  # what the kernel is told of the machine: its first argument
    ramdisk: Gaddr


class Loader(Protocol):
    def wanted(self) -> str:
        """What a kernel has to be, behind the words "leads to no"."""
        ...

    @raises
    def read(self, description: Description) -> None:
        """Finds the segments of the kernel's file. EINVAL: it is none that can be loaded."""
        ...

    def room(self, description: Description) -> u64:
        """Bytes that are enough for what the kernel is told."""
        ...

    @raises
    def place(self, description: Description) -> Placement:
        """ENOSPC: the domain's memory does not hold all that goes into it."""
        ...

    @raises
    def write(self, into: Bytes, description: Description, placement: Placement) -> u64:
        """Writes what the kernel is told, as it is to stand at `placement.tree`. Returns its bytes. ENOSPC: `into` is
        too small."""
        ...


class Loading:
    """What `Loader` is in this image."""

    loader: Loader


loading: Final = Loading()
