"""Where unpacked bytes go, one behind the other, and where matches find what they repeat.

The whole output is the dictionary of all formats, so there is no other buffer. When the window is full, what fits has
been written: who wants the beginning alone gives a small window.
"""

from hv.common.lib.span import Bytes
from hv.lang import Errno, ptr, raises, u8, u64
from loader.unpack.copy import copy_forward
from loader.unpack.fault import expect


class Window:
    start: u64  # an address
    room: u64
    length: u64  # bytes that have been written
    first: u64  # of those that a match may repeat

    def init(self, view: Bytes) -> None:
        self.start = view.address
        self.room = view.length
        self.length = 0
        self.first = 0

    def forget(self) -> None:
        """Matches repeat only what comes from now on."""
        self.first = self.length

    @property
    def full(self) -> bool:
        return self.length == self.room

    def written(self, since: u64) -> Bytes:
        assert since <= self.length, "bytes that have not been written"
        return Bytes(self.start + since, self.length - since)

    def back(self, distance: u64) -> u8:
        """The byte so far behind the next one; 0 where there is none."""
        if distance > self.length - self.first:
            return 0
        return ptr[u8](self.start + self.length - distance)[0]

    @raises
    def put(self, byte: u8) -> None:
        """ENOSPC: the window is full."""
        if self.length == self.room:
            raise Errno.ENOSPC
        ptr[u8](self.start + self.length)[0] = byte
        self.length += 1

    @raises
    def append(self, bytes: Bytes) -> None:
        """ENOSPC: not all of them fit."""
        fitting = min(bytes.length, self.room - self.length)
        copy_forward(self.start + self.length, bytes.address, fitting)
        self.length += fitting
        if fitting != bytes.length:
            raise Errno.ENOSPC

    @raises
    def repeat(self, distance: u64, count: u64) -> None:
        """Bytes that stand so far behind. EINVAL: that is before the first. ENOSPC: not all of them fit."""
        expect(distance != 0 and distance <= self.length - self.first, "a match that repeats what is there")
        fitting = min(count, self.room - self.length)
        to = self.start + self.length
        copy_forward(to, to - distance, fitting)
        self.length += fitting
        if fitting != count:
            raise Errno.ENOSPC

    @raises
    def fill(self, byte: u8, count: u64) -> None:
        """The same byte again and again. ENOSPC."""
        if count != 0:
            self.put(byte)
            fitting = min(count - 1, self.room - self.length)
            to = self.start + self.length
            copy_forward(to, to - 1, fitting)
            self.length += fitting
            if fitting != count - 1:
                raise Errno.ENOSPC
