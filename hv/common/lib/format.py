"""Text from values: what an f-string in a log line or a panic becomes.

The compiler lowers an f-string to a `Message`: `count` placeholders with literal text before each and after the last.
`render` writes it piece by piece into a `Sink`, with no buffer for the whole, so a message has no greatest length.
"""

from hv.lang import (
    Final,
    Message,
    Protocol,
    U8Enum,
    U8Flag,
    address_of,
    array,
    bounded,
    str_at,
    truncate,
    u8,
    u32,
    u64,
    unbounded,
)


class Sink(Protocol):
    """Where text goes."""

    def put(self, text: str) -> None: ...


class FormatKind(U8Enum):
    """What stands in a placeholder."""

    UNSIGNED = 0
    SIGNED = 1
    TEXT = 2
    BOOL = 3
    CHAR = 4


class FormatFlag(U8Flag):
    HEX = 1
    PREFIX = 2  # 0x before a hexadecimal number
    ZEROS = 4  # zeros, not spaces, fill the width


DIGITS: Final = "0123456789abcdef"
SPACES: Final = "                                "
ZEROS: Final = "00000000000000000000000000000000"
MAX_PLACEHOLDERS: Final = 64
MAX_DIGITS: Final = 20  # of 2**64 - 1 in decimal


class Digits:
    """A number's digits, made from the last to the first."""

    text: array[u8, MAX_DIGITS]
    length: u32

    @unbounded("each step divides the number")
    def spell(self, number: u64, base: u64) -> None:
        left = number
        while left != 0 or self.length == 0:
            self.length += 1
            self.text[MAX_DIGITS - self.length] = ord(DIGITS[left % base])
            left //= base

    def put_to(self, sink: Sink) -> None:
        sink.put(str_at(address_of(self.text) + u64(MAX_DIGITS - self.length), u64(self.length)))


class Letter:
    """One byte as text."""

    text: array[u8, 1]

    def put_to(self, sink: Sink, byte: u8) -> None:
        self.text[0] = byte
        sink.put(str_at(address_of(self.text), 1))


def put_byte(sink: Sink, byte: u8) -> None:
    letter = Letter()
    letter.put_to(sink, byte)


def put_number(
    sink: Sink, number: u64, flags: FormatFlag = FormatFlag(0), width: u32 = 0, negative: bool = False
) -> None:
    """Sign, prefix and digits, at least `width` characters in all."""
    digits = Digits()
    digits.spell(number, 16 if FormatFlag.HEX in flags else 10)
    prefixed = FormatFlag.HEX in flags and FormatFlag.PREFIX in flags
    length = digits.length + u32(negative) + (2 if prefixed else 0)
    missing: u32 = width - length if width > length else 0
    if FormatFlag.ZEROS not in flags:
        fill(sink, SPACES, missing)
    if negative:
        sink.put("-")
    if prefixed:
        sink.put("0x")
    if FormatFlag.ZEROS in flags:
        fill(sink, ZEROS, missing)
    digits.put_to(sink)


def put_text(sink: Sink, text: str, width: u32 = 0) -> None:
    """The text, then spaces up to `width` characters."""
    sink.put(text)
    if u64(width) > len(text):
        fill(sink, SPACES, width - u32(len(text)))


@unbounded("each step writes some of what is missing")
def fill(sink: Sink, what: str, count: u32) -> None:
    missing = u64(count)
    while missing != 0:
        some = min(missing, len(what))
        sink.put(what[:some])
        missing -= some


def render(sink: Sink, message: Message) -> None:
    for i in bounded(message.count, MAX_PLACEHOLDERS):
        sink.put(message.literal(i))
        flags = FormatFlag(message.flags(i))
        width = u32(message.width(i))
        match FormatKind(message.kind(i)):
            case FormatKind.UNSIGNED:
                put_number(sink, message.value(i), flags, width)
            case FormatKind.SIGNED:
                number = message.value(i)
                negative = number >> 63 != 0
                put_number(sink, 0 - number if negative else number, flags, width, negative)
            case FormatKind.TEXT:
                put_text(sink, message.text(i), width)
            case FormatKind.BOOL:
                put_text(sink, "True" if message.value(i) != 0 else "False", width)
            case FormatKind.CHAR:
                put_byte(sink, truncate(u8, message.value(i)))
    sink.put(message.literal(message.count))
