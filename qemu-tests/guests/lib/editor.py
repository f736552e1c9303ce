"""The line that is being typed, shown as it grows."""

from hv.common.lib.format import Sink
from hv.common.lib.text import TextBuffer
from hv.lang import Embedded, Final, u8, u64

BACKSPACE: Final = 0x08
DELETE: Final = 0x7F


class Editor:
    text: Embedded[TextBuffer[200]]

    def type(self, byte: u8, screen: Sink) -> bool:
        """Whether the line is complete; then `clear` begins the next. What does not fit is not shown."""
        before = self.text.length
        if byte == ord("\r"):
            screen.put("\n")
            return True
        if byte == BACKSPACE or byte == DELETE:
            if before != 0:
                self.text.length -= 1
                screen.put("\b \b")
        else:
            self.text.put_byte(byte)
            screen.put(self.text.text[u64(before) :])
        return False

    def clear(self) -> None:
        self.text.clear()
