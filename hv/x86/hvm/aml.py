"""Writing ACPI machine language: the few words that name a guest's processors.

    aml.init(buffer)
    with aml.scope("_SB_"):
        with aml.device("C", 0):
            aml.text("_HID", "ACPI0007")
            aml.number("_UID", 0)
    length = aml.finish()

What does not fit is left out and remembered: `finish` raises then, and nothing before needs to be checked.

Source: ACPI Specification 5.0, 20.2: names in 20.2.2, constants in 20.2.3, PkgLength in 20.2.4, objects in 20.2.5.
"""

from hv.common.lib.span import Bytes
from hv.lang import Errno, Final, bounded, guard, raises, truncate, u8, u32, u64

NAME: Final[u8] = 0x08
BYTE: Final[u8] = 0x0A
STRING: Final[u8] = 0x0D
SCOPE: Final[u8] = 0x10
EXTENDED: Final[u8] = 0x5B
DEVICE: Final[u8] = 0x82  # behind EXTENDED
ROOT: Final[u8] = 0x5C

LENGTH_BYTES: Final[u64] = 4  # of a PkgLength in its longest form, whose room is known before the package is
LARGEST: Final[u64] = 1 << 28  # a package that it can tell of
LONGEST_TEXT: Final = 64
DIGITS: Final = "0123456789ABCDEF"


@guard
class Package:
    """Ends its package: the length is known then."""

    writer: "AmlWriter"
    start: u64

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        self.writer.end_package(self.start)


class AmlWriter:
    buffer: Bytes
    end: u64
    full: bool  # something was left out

    def init(self, buffer: Bytes) -> None:
        assert buffer.length < LARGEST, "a buffer that holds a package too large"
        self.buffer = buffer
        self.end = 0
        self.full = False

    @raises
    def finish(self) -> u64:
        """The bytes written. ENOSPC: the buffer was too small."""
        if self.full:
            raise Errno.ENOSPC
        return self.end

    def scope(self, name: str) -> Package:
        """`with aml.scope("_SB_"):` what the body names lies in this object of the root's."""
        self._put(SCOPE)
        start = self._begin_package()
        self._put(ROOT)
        self._put_text(name)
        return Package(self, start)

    def device(self, letter: str, number: u32) -> Package:
        """A device that is named by the letter and three hexadecimal digits."""
        self._put(EXTENDED)
        self._put(DEVICE)
        start = self._begin_package()
        self._put_text(letter)
        for i in range(3):
            self._put(ord(DIGITS[number >> (8 - 4 * i) & 0xF]))
        return Package(self, start)

    def text(self, name: str, value: str) -> None:
        self._put(NAME)
        self._put_text(name)
        self._put(STRING)
        self._put_text(value)
        self._put(0)

    def number(self, name: str, value: u8) -> None:
        """0 and 1 have codes of their own, which are their values."""
        self._put(NAME)
        self._put_text(name)
        if value > 1:
            self._put(BYTE)
        self._put(value)

    def _begin_package(self) -> u64:
        start = self.end
        for _ in range(LENGTH_BYTES):
            self._put(0)
        return start

    def end_package(self, start: u64) -> None:
        """The length counts itself. Its first byte holds four bits, under how many bytes with eight each follow."""
        if self.full:
            return
        length = self.end - start
        self.buffer.put_byte(start, u8(LENGTH_BYTES - 1) << 6 | truncate(u8, length & 0xF))
        for i in range(1, LENGTH_BYTES):
            self.buffer.put_byte(start + i, truncate(u8, length >> (8 * i - 4)))

    def _put_text(self, text: str) -> None:
        for i in bounded(len(text), LONGEST_TEXT):
            self._put(ord(text[i]))

    def _put(self, x: u8) -> None:
        if self.end == self.buffer.length:
            self.full = True
        if not self.full:
            self.buffer.put_byte(self.end, x)
            self.end += 1
