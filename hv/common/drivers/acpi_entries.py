"""The list of structures that a MADT or SRAT holds: each begins with its type and its length, a byte each."""

from hv.common.lib.span import Bytes
from hv.lang import Errno, Iterator, raises, u8, u64, unbounded, value


@value
class Entry:
    kind: u8
    bytes: Bytes  # with the type and the length


@value
class Entries:
    bytes: Bytes

    @raises
    @unbounded("each step goes on by at least two bytes")
    def check(self) -> None:
        """EINVAL: an entry is shorter than its head, or ends behind the table."""
        at: u64 = 0
        while at < self.bytes.length:
            if not self.bytes.holds(at, 2):
                raise Errno.EINVAL
            length = u64(self.bytes.byte(at + 1))
            if length < 2 or not self.bytes.holds(at, length):
                raise Errno.EINVAL
            at += length

    @unbounded("each step goes on by at least two bytes")
    def __iter__(self) -> Iterator[Entry]:
        """Of a list that has been checked."""
        at: u64 = 0
        while at < self.bytes.length:
            length = u64(self.bytes.byte(at + 1))
            assert length >= 2, "a list of structures that was not checked"
            yield Entry(self.bytes.byte(at), self.bytes.part(at, length))
            at += length
