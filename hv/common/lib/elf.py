"""ELF files of kernels: their segments, and notes that say how they want to be started. Both classes, little-endian.

Every number in the file is checked before it is used; nothing is trusted to lie in the file or not to overlap.
Source: System V ABI, chapters 4 and 5 (object files, program loading).
"""

from hv.common.lib.span import Bytes
from hv.lang import Errno, Final, Iterator, bounded, raises, u16, u32, u64, value

MAGIC: Final[u32] = 0x464C_457F
CLASS: Final[u64] = 4
DATA: Final[u64] = 5
LITTLE_ENDIAN: Final = 1
SMALLEST: Final[u64] = 64  # bytes of the longer header; a shorter file is no kernel
MACHINE: Final[u64] = 18
MAX_HEADERS: Final[u32] = 64
MAX_NOTES: Final = 256  # of a segment

LOAD: Final[u32] = 1
NOTE: Final[u32] = 4
NOTE_HEAD: Final[u64] = 12


@value
class ProgramHeader:
    """Of a segment: where it lies in the file, its physical address, and its bytes there and here."""

    kind: u32
    offset: u64
    address: u64
    file_bytes: u64
    memory_bytes: u64


@value
class Elf:
    """A file whose headers lie in it."""

    file: Bytes
    wide: bool
    machine: u16
    first: u64  # program header
    step: u64
    count: u32

    def segments(self) -> Iterator[ProgramHeader]:
        for i in bounded(self.count, MAX_HEADERS):
            yield self.header(i)

    def header(self, index: u32) -> ProgramHeader:
        at = self.first + self.step * u64(index)
        file = self.file
        if self.wide:
            return ProgramHeader(
                file.le32(at), file.le64(at + 8), file.le64(at + 24), file.le64(at + 32), file.le64(at + 40)
            )
        return ProgramHeader(
            file.le32(at),
            u64(file.le32(at + 4)),
            u64(file.le32(at + 12)),
            u64(file.le32(at + 16)),
            u64(file.le32(at + 20)),
        )

    @raises
    def note(self, name: str, kind: u32) -> Bytes:
        """What a note holds. ENOENT: there is none of this name and number."""
        for i in bounded(self.count, MAX_HEADERS):
            segment = self.header(i)
            if segment.kind != NOTE or not self.file.holds(segment.offset, segment.file_bytes):
                continue
            found = _find_note(self.file.part(segment.offset, segment.file_bytes), name, kind)
            if found.length != 0:
                return found
        raise Errno.ENOENT


@raises
def read_elf(file: Bytes) -> Elf:
    """EINVAL: no such file, or its headers lead out of it."""
    if not file.holds(0, SMALLEST) or file.le32(0) != MAGIC or file.byte(DATA) != LITTLE_ENDIAN:
        raise Errno.EINVAL
    if file.byte(CLASS) not in (1, 2):
        raise Errno.EINVAL
    wide = file.byte(CLASS) == 2
    first = file.le64(32) if wide else u64(file.le32(28))
    step = u64(file.le16(54) if wide else file.le16(42))
    count = u32(file.le16(56) if wide else file.le16(44))
    least: u64 = 56 if wide else 32
    if count == 0 or count > MAX_HEADERS or step < least or not file.holds(first, step * u64(count)):
        raise Errno.EINVAL
    return Elf(file, wide, file.le16(MACHINE), first, step, count)


def _find_note(notes: Bytes, name: str, kind: u32) -> Bytes:
    """No bytes: there is none among the first MAX_NOTES."""
    at: u64 = 0
    for _ in range(MAX_NOTES):
        if not notes.holds(at, NOTE_HEAD):
            break
        name_bytes = u64(notes.le32(at))
        content = at + NOTE_HEAD + _padded(name_bytes)
        length = u64(notes.le32(at + 4))
        if not notes.holds(at + NOTE_HEAD, _padded(name_bytes)) or not notes.holds(content, length):
            break
        if notes.le32(at + 8) == kind and name_bytes == len(name) + 1:
            if notes.text(at + NOTE_HEAD, len(name)) == name:
                return notes.part(content, length)
        at = content + _padded(length)
    return Bytes(0, 0)


def _padded(length: u64) -> u64:
    return length + 3 & ~u64(3)
