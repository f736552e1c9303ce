"""The letters of a screen: seven rows of five dots for each printable ASCII character.

A glyph is a number: five bits for each row, the top row lowest; the highest bit of five is the leftmost dot.
"""

from hv.lang import Final, array, truncate, u8, u32, u64

FIRST: Final[u8] = 0x20
COUNT: Final[u8] = 95
ROWS: Final[u32] = 7
COLUMNS: Final[u32] = 5

# fmt: off
GLYPHS: Final[array[u64, 95]] = array(
    0x000000000, 0x100421084, 0x00000294A, 0x295F57D4A, 0x13C5751E4,  # space ! " # $
    0x0E6820B38, 0x36554524C, 0x000002084, 0x088842082, 0x208210888,  # % & ' ( )
    0x009575480, 0x0084F9080, 0x208C00000, 0x0000F8000, 0x318000000,  # * + , - .
    0x020820820, 0x3A39ACE2E, 0x388421184, 0x7E083062E, 0x78217043E,  # / 0 1 2 3
    0x085F928C2, 0x3A210FA1F, 0x3A31F4106, 0x10842083F, 0x3A317462E,  # 4 5 6 7 8
    0x30417C62E, 0x018C03180, 0x208C03180, 0x088882082, 0x001F07C00,  # 9 : ; < =
    0x208208888, 0x10041062E, 0x3A17ADE2E, 0x463F8C544, 0x7A31F463E,  # > ? @ A B
    0x3A308422E, 0x7A318C63E, 0x7E10F421F, 0x4210F421F, 0x3A31BC22E,  # C D E F G
    0x4631FC631, 0x38842108E, 0x324210847, 0x4654C5251, 0x7E1084210,  # H I J K L
    0x4631AD771, 0x46319D731, 0x3A318C62E, 0x4210F463E, 0x36558C62E,  # M N O P Q
    0x4654F463E, 0x78217420F, 0x10842109F, 0x3A318C631, 0x114A8C631,  # R S T U V
    0x4775AC631, 0x462A22A31, 0x108422A31, 0x7E082083F, 0x39084210E,  # W X Y Z [
    0x002222200, 0x38421084E, 0x000004544, 0x7C0000000, 0x000000888,  # \ ] ^ _ `
    0x3E2F0B800, 0x7A318FA10, 0x3E1083C00, 0x3E318BC21, 0x3A1F8B800,  # a b c d e
    0x210847906, 0x382F8C5E0, 0x46318FA10, 0x388423004, 0x324211802,  # f g h i j
    0x4A98A4A10, 0x38842108C, 0x56B5AE800, 0x46318F800, 0x3A318B800,  # k l m n o
    0x421E8F800, 0x042F8BC00, 0x4210CD800, 0x782E83C00, 0x192847908,  # p q r s t
    0x3E318C400, 0x11518C400, 0x2AB5AC400, 0x454454400, 0x382F8C400,  # u v w x y
    0x7D0417C00, 0x0C8441083, 0x108421084, 0x608411098, 0x0002AA000,  # z { | } ~
)
# fmt: on
NO_GLYPH: Final[u64] = 0x7_FFFF_FFFF  # a block, for what is not ASCII


def glyph(character: u8) -> u64:
    if character < FIRST or character - FIRST >= COUNT:
        return NO_GLYPH
    return GLYPHS[u32(character - FIRST)]


def row_of(glyph: u64, row: u32) -> u32:
    """The five dots of a row, the leftmost highest."""
    return truncate(u32, glyph >> COLUMNS * row) & 0x1F
