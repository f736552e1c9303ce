"""Bytes as strings of bits, read from their beginning or from their end; beyond the other end there are zeros, and
`beyond` tells when those were taken.
"""

from hv.common.lib.span import Bytes
from hv.lang import Final, ptr, u8, u32, u64, unbounded

WORD: Final[u64] = 8  # bytes that are read at once
MOST: Final[u32] = 57  # bits that one look is sure to hold


class ForwardBits:
    """The lowest bit of the first byte comes first, and what comes first is lowest in a number."""

    data: Bytes
    at: u64  # in bits

    def init(self, data: Bytes) -> None:
        self.data = data
        self.at = 0

    @property
    def beyond(self) -> bool:
        return self.at > self.data.length * 8

    @property
    def bytes(self) -> u64:
        """That have been begun."""
        return (self.at + 7) // 8

    def peek(self) -> u64:
        """The next 57 bits, and up to seven more."""
        byte = self.at // 8
        if byte + WORD <= self.data.length:
            return ptr[u64](self.data.address + byte)[0] >> self.at % 8
        return bytes_as_word(self.data, byte) >> self.at % 8

    def skip(self, bits: u32) -> None:
        self.at += u64(bits)

    def read(self, bits: u32) -> u32:
        """At most 32."""
        value = u32(self.peek() & ((u64(1) << bits) - 1))
        self.skip(bits)
        return value

    def align(self) -> None:
        """To the next whole byte."""
        self.at = self.bytes * 8


class BackwardBits:
    """The highest bit of the last byte comes first, and what comes first is highest in a number."""

    data: Bytes
    left: u64  # bits
    beyond: bool

    def init(self, data: Bytes, left: u64) -> None:
        """The first bit is the one before the bit number `left`."""
        self.data = data
        self.left = left
        self.beyond = False

    def peek(self, bits: u32) -> u64:
        """At most 57."""
        end = (self.left + 7) // 8
        unused = end * 8 - self.left
        if end >= WORD:
            word = ptr[u64](self.data.address + end - WORD)[0]
        else:
            word = 0
            if end != 0:
                word = bytes_as_word(self.data.part(0, end), 0) << (WORD - end) * 8
        return word << unused >> 1 >> (63 - bits)

    def skip(self, bits: u32) -> None:
        if u64(bits) > self.left:
            self.beyond = True
            self.left = 0
            return
        self.left -= u64(bits)

    def read(self, bits: u32) -> u64:
        value = self.peek(bits)
        self.skip(bits)
        return value


@unbounded("a word has eight bytes")
def bytes_as_word(data: Bytes, start: u64) -> u64:
    """From there to the end, or eight of them; the first is lowest."""
    word: u64 = 0
    shift: u64 = 0
    at = start
    while at < data.length and shift < 64:
        word |= u64(ptr[u8](data.address + at)[0]) << shift
        at += 1
        shift += 8
    return word
