"""Text made at run time, in a buffer of fixed size."""

from hv.common.lib.format import Sink, render
from hv.lang import Const, Generic, Message, TypeVar, address_of, array, bounded, embedded, str_at, u8, u32, u64

N = TypeVar("N", bound=int)


@embedded
class TextBuffer(Generic[N], Sink):
    """Up to N bytes; what does not fit is left out, and `truncated` tells so."""

    capacity: Const[N]
    bytes: array[u8, N]
    length: u32
    truncated: bool

    @property
    def text(self) -> str:
        """What is in it now; a reference to the buffer itself."""
        return str_at(address_of(self.bytes), u64(self.length))

    def clear(self) -> None:
        self.length = 0
        self.truncated = False

    def put_byte(self, byte: u8) -> None:
        if self.length == self.capacity:
            self.truncated = True
            return
        self.bytes[self.length] = byte
        self.length += 1

    def put(self, text: str) -> None:
        for i in bounded(len(text), 1 << 32):
            self.put_byte(ord(text[i]))

    def write(self, message: Message) -> None:
        render(self, message)
