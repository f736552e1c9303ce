"""`./dev image`: the hypervisor as a CD image or a disk image that starts by itself, under BIOS and under UEFI.

GRUB 2 starts the hypervisor by the multiboot2 protocol. Everything is written as plain files: no loop device, no mount,
no root. The same inputs give the same bytes; SOURCE_DATE_EPOCH chooses the dates that are written (docs/images.md).
"""

from devtools.image.media import Contents, cached, make
from devtools.image.menu import Entry

__all__ = ["Contents", "Entry", "cached", "make"]
