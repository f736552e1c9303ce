"""Lines on the console, by console_io, a line with each call."""

from guests.x86.lib.hypercall import CONSOLE_IO, CONSOLE_WRITE, hypercall
from hv.common.lib.text import TextBuffer
from hv.lang import Final, Message, address_of, u64


class Line:
    text: TextBuffer[256]


shown: Final = Line()


def line(message: Message) -> None:
    shown.text.clear()
    shown.text.write(message)
    shown.text.put("\n")
    hypercall(CONSOLE_IO, CONSOLE_WRITE, u64(shown.text.length), address_of(shown.text.bytes))
