"""Views of memory with checked bounds: `Bytes`.

A view is an address and a length that the hypervisor has mapped, such as a boot module in the direct map. What lies in
it may be anything: whoever decodes it asks `holds` before he reads, and a read beyond the end is a fault of the
program. Numbers may stand at any alignment. Guest memory is no `Bytes`: it is reached by guest copy.
"""

from hv.lang import Final, bounded, ptr, str_at, truncate, u8, u16, u32, u64, unbounded, value

LARGEST: Final = 1 << 32  # bytes that one call fills or moves: these loops are for small things


@value
class Bytes:
    """`length` bytes from `address`. The memory belongs to someone else, who keeps it as long as the view is used."""

    address: u64
    length: u64

    def holds(self, offset: u64, size: u64) -> bool:
        """Whether `size` bytes from `offset` lie inside. For any numbers at all."""
        return offset <= self.length and size <= self.length - offset

    def part(self, offset: u64, length: u64) -> "Bytes":
        assert self.holds(offset, length), "part of a view beyond its end"
        return Bytes(self.address + offset, length)

    def rest(self, offset: u64) -> "Bytes":
        """From `offset` to the end."""
        return self.part(offset, self.length - min(offset, self.length))

    def text(self, offset: u64, length: u64) -> str:
        return str_at(self._at(offset, length), length)

    @unbounded("ends with the view")
    def terminated(self, offset: u64) -> bool:
        """Whether a zero byte stands at `offset` or behind it, inside the view."""
        at = offset
        while at < self.length:
            if self.byte(at) == 0:
                return True
            at += 1
        return False

    @unbounded("ends with the view")
    def string(self, offset: u64) -> str:
        """The text from `offset` to the first zero byte, or to the end when there is none."""
        end = offset
        while end < self.length and self.byte(end) != 0:
            end += 1
        return self.text(offset, end - offset)

    def byte(self, offset: u64) -> u8:
        return ptr[u8](self._at(offset, 1))[0]

    def le16(self, offset: u64) -> u16:
        p = ptr[u8](self._at(offset, 2))
        return u16(p[0]) | u16(p[1]) << 8

    def le32(self, offset: u64) -> u32:
        p = ptr[u8](self._at(offset, 4))
        return u32(p[0]) | u32(p[1]) << 8 | u32(p[2]) << 16 | u32(p[3]) << 24

    def le64(self, offset: u64) -> u64:
        return u64(self.le32(offset)) | u64(self.le32(offset + 4)) << 32

    def be32(self, offset: u64) -> u32:
        p = ptr[u8](self._at(offset, 4))
        return u32(p[0]) << 24 | u32(p[1]) << 16 | u32(p[2]) << 8 | u32(p[3])

    def be64(self, offset: u64) -> u64:
        return u64(self.be32(offset)) << 32 | u64(self.be32(offset + 4))

    def put_byte(self, offset: u64, x: u8) -> None:
        ptr[u8](self._at(offset, 1))[0] = x

    def put_le16(self, offset: u64, x: u16) -> None:
        p = ptr[u8](self._at(offset, 2))
        p[0] = truncate(u8, x)
        p[1] = truncate(u8, x >> 8)

    def put_le32(self, offset: u64, x: u32) -> None:
        p = ptr[u8](self._at(offset, 4))
        p[0] = truncate(u8, x)
        p[1] = truncate(u8, x >> 8)
        p[2] = truncate(u8, x >> 16)
        p[3] = truncate(u8, x >> 24)

    def put_le64(self, offset: u64, x: u64) -> None:
        self.put_le32(offset, truncate(u32, x))
        self.put_le32(offset + 4, truncate(u32, x >> 32))

    def put_be32(self, offset: u64, x: u32) -> None:
        p = ptr[u8](self._at(offset, 4))
        p[0] = truncate(u8, x >> 24)
        p[1] = truncate(u8, x >> 16)
        p[2] = truncate(u8, x >> 8)
        p[3] = truncate(u8, x)

    def put_be64(self, offset: u64, x: u64) -> None:
        self.put_be32(offset, truncate(u32, x >> 32))
        self.put_be32(offset + 4, truncate(u32, x))

    def put_text(self, offset: u64, text: str) -> None:
        """The text's bytes, without a zero behind them."""
        p = ptr[u8](self._at(offset, len(text)))
        for i in bounded(len(text), LARGEST):
            p[i] = ord(text[i])

    def fill(self, x: u8) -> None:
        p = ptr[u8](self.address)
        for i in bounded(self.length, LARGEST):
            p[i] = x

    def move_down(self, to: u64, start: u64, length: u64) -> None:
        """Moves `length` bytes from `start` to `to`, which is not greater: the two may overlap."""
        assert to <= start, "bytes moved up"
        source = ptr[u8](self._at(start, length))
        target = ptr[u8](self._at(to, length))
        for i in bounded(length, LARGEST):
            target[i] = source[i]

    def _at(self, offset: u64, size: u64) -> u64:
        assert self.holds(offset, size), "access beyond the end of a view"
        return self.address + offset
