"""The header of an x86 Linux `bzImage`: a packed kernel with the code that a PC's boot loader enters to unpack it.

Source: Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header". Little-endian.
"""

from hv.common.lib.span import Bytes
from hv.lang import Errno, Final, raises, u8, u16, u32, u64

SETUP_SECTORS: Final[u64] = 0x1F1
BOOT_FLAG: Final[u64] = 0x1FE
HEADER: Final[u64] = 0x202
VERSION: Final[u64] = 0x206
LOAD_FLAGS: Final[u64] = 0x211
PAYLOAD_OFFSET: Final[u64] = 0x248
PAYLOAD_LENGTH: Final[u64] = 0x24C
HEADER_BYTES: Final[u64] = 0x250

HAS_BOOT_FLAG: Final[u16] = 0xAA55
HAS_HEADER: Final[u32] = 0x5372_6448  # "HdrS"
TELLS_PAYLOAD: Final[u16] = 0x0208  # from this version on
LOADED_HIGH: Final[u8] = 1  # what makes it a bzImage
SECTOR: Final[u64] = 512
SECTORS: Final[u8] = 4  # where the header says 0


def is_bzimage(file: Bytes) -> bool:
    """Whether it has the header. It may be damaged elsewhere."""
    if not file.holds(0, HEADER_BYTES) or file.le16(BOOT_FLAG) != HAS_BOOT_FLAG or file.le32(HEADER) != HAS_HEADER:
        return False
    return file.le16(VERSION) >= TELLS_PAYLOAD and file.byte(LOAD_FLAGS) & LOADED_HIGH != 0


@raises
def payload_of(file: Bytes) -> Bytes:
    """The packed kernel. EINVAL: no bzImage, or the payload lies outside of it."""
    if not is_bzimage(file):
        raise Errno.EINVAL
    sectors = file.byte(SETUP_SECTORS)
    start = (u64(SECTORS if sectors == 0 else sectors) + 1) * SECTOR + u64(file.le32(PAYLOAD_OFFSET))
    length = u64(file.le32(PAYLOAD_LENGTH))
    if not file.holds(start, length):
        raise Errno.EINVAL
    return file.part(start, length)
