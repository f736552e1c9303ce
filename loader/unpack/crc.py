"""Cyclic redundancy checks, reflected, of up to 64 bits: eight bytes at a time, with a table for each.

Sources: RFC 1952, section 8 (CRC-32); The .xz File Format 1.1.0, sections 3.4 and 6 (CRC-64, ECMA-182).
"""

from hv.common.lib.span import Bytes
from hv.lang import Final, array, ptr, u8, u64, unbounded

BYTES: Final = 8
VALUES: Final = 256
CRC32_POLYNOMIAL: Final[u64] = 0xEDB8_8320
CRC64_POLYNOMIAL: Final[u64] = 0xC96C_5795_D787_0F42


class Crc:
    ones: u64  # as wide as the check
    tables: array[u64, BYTES * VALUES]  # what a byte leaves of the remainder, with 0, 1, … 7 others behind it

    def init(self, polynomial: u64) -> None:
        self.ones = 0xFFFF_FFFF if polynomial == CRC32_POLYNOMIAL else ~u64(0)
        for byte in range(VALUES):
            remainder = u64(byte)
            for _ in range(8):
                remainder = remainder >> 1 ^ (polynomial if remainder & 1 != 0 else 0)
            self.tables[byte] = remainder
        for i in range(VALUES, BYTES * VALUES):
            before = self.tables[i - VALUES]
            self.tables[i] = self.tables[before & 0xFF] ^ before >> 8

    @unbounded("ends with the data")
    def of(self, data: Bytes) -> u64:
        remainder = self.ones
        at = data.address
        left = data.length
        while left >= BYTES:
            x = ptr[u64](at)[0] ^ remainder
            remainder = (
                self.tables[7 * VALUES + (x & 0xFF)]
                ^ self.tables[6 * VALUES + (x >> 8 & 0xFF)]
                ^ self.tables[5 * VALUES + (x >> 16 & 0xFF)]
                ^ self.tables[4 * VALUES + (x >> 24 & 0xFF)]
                ^ self.tables[3 * VALUES + (x >> 32 & 0xFF)]
                ^ self.tables[2 * VALUES + (x >> 40 & 0xFF)]
                ^ self.tables[VALUES + (x >> 48 & 0xFF)]
                ^ self.tables[x >> 56]
            )
            at += BYTES
            left -= BYTES
        while left != 0:
            remainder = self.tables[(remainder ^ u64(ptr[u8](at)[0])) & 0xFF] ^ remainder >> 8
            at += 1
            left -= 1
        return remainder ^ self.ones


crc32: Final = Crc()
crc64: Final = Crc()
