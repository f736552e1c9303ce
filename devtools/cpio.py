"""The archive format of Linux's initramfs: cpio "newc" (Documentation/driver-api/early-userspace/buffer-format.rst).

An entry is a header of thirteen eight-digit hexadecimal numbers behind "070701", the name with a zero, the
contents, each padded to four bytes. The archive ends with an entry named TRAILER!!!.
"""

import stat
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A file, folder or device; `mode` holds the type bits of stat(2) as well."""

    name: str
    mode: int
    contents: bytes = b""
    device: tuple[int, int] = (0, 0)


def folder(name: str) -> Entry:
    return Entry(name, stat.S_IFDIR | 0o755)


def file(name: str, contents: bytes, executable: bool = False) -> Entry:
    return Entry(name, stat.S_IFREG | (0o755 if executable else 0o644), contents)


def character_device(name: str, major: int, minor: int) -> Entry:
    return Entry(name, stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: list[Entry]) -> bytes:
    """The archive, the same bytes for the same entries: owner root, time zero, inodes counted up."""
    parts = [_encoded(entry, inode) for inode, entry in enumerate(entries, 1)]
    return b"".join([*parts, _encoded(Entry("TRAILER!!!", 0), 0)])


def _encoded(entry: Entry, inode: int) -> bytes:
    name = entry.name.encode() + b"\0"
    owner = group = time = checksum = 0
    fields = (
        inode,
        entry.mode,
        owner,
        group,
        2 if stat.S_ISDIR(entry.mode) else 1,  # links
        time,
        len(entry.contents),
        0,
        0,  # the device that holds the file
        *entry.device,
        len(name),
        checksum,
    )
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name) + _padded(entry.contents)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
