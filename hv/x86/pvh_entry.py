"""Where an ELF kernel wants to be entered by PVH: a note of Xen's, with a physical address in 32 or 64 bits.

Source: public/elfnote.h (XEN_ELFNOTE_PHYS32_ENTRY).
"""

from hv.common.lib.elf import Elf
from hv.lang import Errno, Final, raises, u16, u32, u64

MACHINE_386: Final[u16] = 3
MACHINE_X86_64: Final[u16] = 62
NOTE_NAME: Final = "Xen"
PHYS32_ENTRY: Final[u32] = 18


@raises
def pvh_entry(elf: Elf) -> u64:
    """EINVAL: the file has none, or is for another machine."""
    if elf.machine not in (MACHINE_386, MACHINE_X86_64):
        raise Errno.EINVAL
    try:
        note = elf.note(NOTE_NAME, PHYS32_ENTRY)
    except Errno:
        raise Errno.EINVAL from None
    if note.length == 8:
        return note.le64(0)
    if note.length != 4:
        raise Errno.EINVAL
    return u64(note.le32(0))
