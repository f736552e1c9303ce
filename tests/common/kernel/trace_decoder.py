"""Trace records as Xen's tools read them, from the public header alone and not from the hypervisor's source."""

import struct
from dataclasses import dataclass

LOST, WRAP, CPU_CHANGE = 0x1F001, 0x1F002, 0x1F003


@dataclass(frozen=True)
class Decoded:
    event: int
    time: int | None
    extra: tuple[int, ...]
    bytes: int


def decode(data: bytes) -> list[Decoded]:
    """All records of these bytes, which no record may leave."""
    found, at = [], 0
    while at < len(data):
        (header,) = struct.unpack_from("<I", data, at)
        count, timed = header >> 28 & 7, header >> 31
        size = 4 + 8 * timed + 4 * count
        assert at + size <= len(data), "a record is cut"
        time = struct.unpack_from("<Q", data, at + 4)[0] if timed else None
        extra = struct.unpack_from(f"<{count}I", data, at + 4 + 8 * timed)
        found.append(Decoded(header & 0xFFF_FFFF, time, extra, size))
        at += size
    return found


def window(memory: bytes, size: int, cons: int, prod: int) -> list[bytes]:
    """What lies between the offsets in a buffer's data, as one part, or as two when it goes on behind the end."""
    unread = (prod - cons) % (2 * size)
    assert unread <= size and cons < 2 * size and prod < 2 * size
    start = cons % size
    first = memory[start : start + min(unread, size - start)]
    return [first, memory[: unread - len(first)]]
