"""Packed bytes, taken from their beginning to their end."""

from hv.common.lib.span import Bytes
from hv.lang import raises, u8, u16, u32, u64
from loader.unpack.fault import expect


class Source:
    data: Bytes
    at: u64

    def init(self, data: Bytes) -> None:
        self.data = data
        self.at = 0

    @property
    def left(self) -> u64:
        return self.data.length - self.at

    @raises
    def take(self, count: u64) -> Bytes:
        """The next bytes. EINVAL: there are not so many."""
        expect(count <= self.left, "more bytes behind the end")
        start = self.at
        self.at += count
        return self.data.part(start, count)

    @raises
    def byte(self) -> u8:
        expect(self.left >= 1, "more bytes behind the end")
        self.at += 1
        return self.data.byte(self.at - 1)

    @raises
    def le16(self) -> u16:
        return self.take(2).le16(0)

    @raises
    def be16(self) -> u16:
        high = self.byte()
        return u16(high) << 8 | u16(self.byte())

    @raises
    def le32(self) -> u32:
        return self.take(4).le32(0)

    @raises
    def le64(self) -> u64:
        return self.take(8).le64(0)
