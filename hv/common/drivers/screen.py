"""The screen that a boot loader has set up."""

from hv.common.mm.types import Paddr
from hv.lang import U8Enum, u8, u32, u64, value


class ScreenKind(U8Enum):
    NONE = 0
    PIXELS = 1  # each of red, green and blue
    TEXT = 2  # EGA's: a character and its attributes in two bytes


@value
class Screen:
    kind: ScreenKind
    base: Paddr
    pitch: u32  # bytes from one row (of pixels or of characters) to the next
    width: u32  # in pixels, or characters
    height: u32
    bits: u8  # of a pixel
    red_at: u8  # lowest bit of each colour in a pixel, and how many
    red_bits: u8
    green_at: u8
    green_bits: u8
    blue_at: u8
    blue_bits: u8

    @property
    def bytes(self) -> u64:
        return u64(self.pitch) * u64(self.height)


def no_screen() -> Screen:
    return Screen(ScreenKind.NONE, Paddr(0), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
