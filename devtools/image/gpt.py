"""A GUID partition table, as bytes (UEFI specification 2.10, section 5).

A disk begins with a protective master boot record, the header and the table of partitions, and ends with the table and
a header again. Numbers of partitions and the disk come from a seed, so that the same contents make the same disk.
"""

import struct
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

SECTOR = 512
ENTRIES = 128
ENTRY_BYTES = 128
TABLE_SECTORS = ENTRIES * ENTRY_BYTES // SECTOR
FIRST_USABLE = 2 + TABLE_SECTORS
RESERVED_AT_END = 1 + TABLE_SECTORS

BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
"""Where GRUB keeps core.img (GRUB manual, "BIOS installation")."""
EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
"""The partition that UEFI looks on (UEFI specification 2.10, table 5.7)."""


@dataclass(frozen=True)
class Partition:
    """A partition by its first sector and its number of sectors."""

    name: str
    kind: uuid.UUID
    first: int
    sectors: int


def begin(sectors: int, partitions: Sequence[Partition], seed: uuid.UUID, boot_code: bytes) -> bytes:
    """The first FIRST_USABLE sectors of a disk; `boot_code` is the code of its first one."""
    table = _table(partitions, seed)
    header = _header(sectors, table, seed, here=1, other=sectors - 1, table_at=2)
    return _protective(sectors, boot_code) + header + table


def end(sectors: int, partitions: Sequence[Partition], seed: uuid.UUID) -> bytes:
    """The last RESERVED_AT_END sectors."""
    table = _table(partitions, seed)
    return table + _header(sectors, table, seed, here=sectors - 1, other=1, table_at=sectors - RESERVED_AT_END)


def _protective(sectors: int, boot_code: bytes) -> bytes:
    """A master boot record with one partition over all the disk. Not marked active: some BIOSes that see an active
    one switch to ways of their own, and GRUB does not need it."""
    whole = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(sectors - 1, 0xFFFF_FFFF))
    return boot_code[:440].ljust(446, b"\0") + whole.ljust(64, b"\0") + b"\x55\xaa"


def _table(partitions: Sequence[Partition], seed: uuid.UUID) -> bytes:
    entries = b"".join(
        struct.pack(
            "<16s16sQQQ72s",
            partition.kind.bytes_le,
            uuid.uuid5(seed, partition.name).bytes_le,
            partition.first,
            partition.first + partition.sectors - 1,
            0,
            partition.name.encode("utf-16-le"),
        )
        for partition in partitions
    )
    return entries.ljust(ENTRIES * ENTRY_BYTES, b"\0")


def _header(sectors: int, table: bytes, seed: uuid.UUID, here: int, other: int, table_at: int) -> bytes:
    def fields(checksum: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII",
            b"EFI PART",
            0x0001_0000,
            92,
            checksum,
            0,
            here,
            other,
            FIRST_USABLE,
            sectors - RESERVED_AT_END - 1,
            seed.bytes_le,
            table_at,
            ENTRIES,
            ENTRY_BYTES,
            zlib.crc32(table),
        )

    return fields(zlib.crc32(fields(0))).ljust(SECTOR, b"\0")
