"""The header of an arm64 kernel `Image`.

Source: Linux, Documentation/arch/arm64/booting.rst, "Call the kernel image". 64 bytes, little-endian.
"""

from hv.common.lib.span import Bytes
from hv.lang import Bits, Errno, Field, Final, U8Enum, raises, u64, value

HEADER_SIZE: Final = 64
MAGIC: Final = 0x644D5241  # "ARM\x64"
BASE_ALIGNMENT: Final = 0x20_0000  # text_offset counts from a multiple of it
OLD_TEXT_OFFSET: Final = 0x8_0000  # of kernels before 3.17, whose image_size is zero


class PageSize(U8Enum):
    UNSPECIFIED = 0
    SIZE_4K = 1
    SIZE_16K = 2
    SIZE_64K = 3


class ImageFlags(Bits[u64]):
    big_endian = Field(0)
    page_size = Field(2, 1, of=PageSize)
    anywhere = Field(3)  # the base need not be near the start of memory


@value
class Image:
    """`size` bytes of memory from base + `text_offset` belong to the kernel: its file and what it zeroes behind."""

    text_offset: u64
    size: u64
    flags: ImageFlags


@raises
def read_image(file: Bytes) -> Image:
    """EINVAL: not an Image (it may be packed), or one for big-endian CPUs. A signature behind the image may make the
    file larger than `image_size`.
    """
    if not file.holds(0, HEADER_SIZE) or file.le32(56) != MAGIC:
        raise Errno.EINVAL
    size = file.le64(16)
    if size == 0:
        return Image(OLD_TEXT_OFFSET, file.length, ImageFlags(0))
    flags = ImageFlags(file.le64(24))
    text_offset = file.le64(8)
    if flags.big_endian or text_offset >= BASE_ALIGNMENT:
        raise Errno.EINVAL
    return Image(text_offset, max(size, file.length), flags)
