"""Reading numbers, sizes and lists from text that people wrote.

Every function here takes the whole text it is given: something left over makes it EINVAL. A number too large is EINVAL
too.
"""

from hv.common.lib.bitmap import Bitmap
from hv.lang import Errno, Final, Iterator, TypeVar, raises, u8, u32, u64, unbounded, value

W = TypeVar("W", bound=int)

HIGHEST: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF
UNITS: Final = "bkmgt"  # each 1024 times the one before
LOWER_CASE: Final = 0x20  # the bit that makes a letter a small one


@value
class Fields:
    """The parts of a text between single-character separators; a text without one is one part. `Fields("a,,b", ",")`:
    a, nothing, b.
    """

    text: str
    separator: str

    @unbounded("each step goes on in the text")
    def __iter__(self) -> Iterator[str]:
        start: u64 = 0
        while start <= len(self.text):
            end = find(self.text, ord(self.separator[0]), start)
            yield self.text[start:end]
            start = end + 1


@unbounded("ends with the text")
def find(text: str, character: u8, start: u64 = 0) -> u64:
    """Where the character stands first from `start` on; the text's length when nowhere."""
    at = start
    while at < len(text) and ord(text[at]) != character:
        at += 1
    return min(at, len(text))


@raises
def number(text: str) -> u64:
    """Decimal, or hexadecimal with 0x before it."""
    if text.startswith("0x") or text.startswith("0X"):
        return _digits(text[2:], 16)
    return _digits(text, 10)


@raises
def hexadecimal(text: str) -> u64:
    """Without 0x before it."""
    return _digits(text, 16)


@raises
def size(text: str) -> u64:
    """Bytes: a number with B, K, M, G or T behind it (powers of 1024, either case); without a letter it counts KiB, as
    in Xen.
    """
    if len(text) == 0:
        raise Errno.EINVAL
    digits = len(text) - 1
    unit = find(UNITS, ord(text[digits]) | LOWER_CASE)
    if unit == len(UNITS) or (unit == 0 and text.startswith("0x")):  # a hexadecimal number may end in the digit b
        digits = len(text)
        unit = 1
    count = number(text[:digits])
    if count > HIGHEST >> 10 * unit:
        raise Errno.EINVAL
    return count << 10 * unit


@raises
def boolean(text: str) -> bool:
    """Xen's words: yes, on, true, enable, 1; no, off, false, disable, 0. Nothing at all is yes: the option's name stood
    alone.
    """
    if text == "" or text == "yes" or text == "on" or text == "true" or text == "enable" or text == "1":
        return True
    if text == "no" or text == "off" or text == "false" or text == "disable" or text == "0":
        return False
    raise Errno.EINVAL


@raises
def cpu_list(text: str, into: Bitmap[W]) -> None:
    """Adds the CPUs that a list such as 0-3,5 names. EINVAL: no such list, or a number that `into` cannot hold."""
    for part in Fields(text, ","):
        dash = find(part, ord("-"))
        first = number(part[:dash])
        last = first if dash == len(part) else number(part[dash + 1 :])
        if last < first or last >= u64(into.size):
            raise Errno.EINVAL
        into.set_range(u32(first), u32(last) + 1)


@raises
@unbounded("ends with the text")
def _digits(text: str, base: u64) -> u64:
    if len(text) == 0:
        raise Errno.EINVAL
    total: u64 = 0
    i: u64 = 0
    while i < len(text):
        digit = u64(_digit(ord(text[i])))
        if digit >= base or total > (HIGHEST - digit) // base:
            raise Errno.EINVAL
        total = total * base + digit
        i += 1
    return total


def _digit(character: u8) -> u8:
    """The digit's value; 255 for what is none."""
    if ord("0") <= character <= ord("9"):
        return character - ord("0")
    letter = character | LOWER_CASE
    if ord("a") <= letter <= ord("f"):
        return letter - ord("a") + 10
    return 255
