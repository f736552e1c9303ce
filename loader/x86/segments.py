"""From an unpacked ELF file to a kernel in its place.

The file is unpacked where no segment's place lies above what the file has of it. So the segments move down, in the
order in which they stand in the file, and none is overwritten before its turn. What is zeroed comes last. The headers
have to lie elsewhere.
"""

from hv.common.lib.elf import LOAD, MAX_HEADERS, Elf, ProgramHeader
from hv.lang import bounded, raises, u32, u64
from loader.unpack.copy import clear, copy_forward
from loader.unpack.fault import expect
from loader.x86.memory import FOUR_GIB, Memory


@raises
def lowest_base(elf: Elf, size: u64) -> u64:
    """Where a file of so many bytes may be unpacked, or above. EINVAL: it has nothing to load, or a segment that lies
    not in it, or goes to no place below 4 GiB, or shares bytes with another.
    """
    base: u64 = 0
    segments: u32 = 0
    for i in bounded(elf.count, MAX_HEADERS):
        segment = elf.header(i)
        if not is_loaded(segment):
            continue
        segments += 1
        expect(segment.file_bytes <= segment.memory_bytes, "a segment with as much memory as it has of the file")
        expect(
            segment.offset <= size and segment.file_bytes <= size - segment.offset, "a segment that lies in its file"
        )
        fits = segment.address < FOUR_GIB and segment.memory_bytes <= FOUR_GIB - segment.address
        expect(fits, "a segment that goes to memory below 4 GiB")
        for j in bounded(i, MAX_HEADERS):
            expect(not is_loaded(elf.header(j)) or are_apart(elf.header(j), segment), "segments that share nothing")
        if segment.address > segment.offset:
            base = max(base, segment.address - segment.offset)
    expect(segments != 0, "a segment to load")
    return base


@raises
def check_places(elf: Elf, memory: Memory) -> None:
    """EINVAL: a segment's place is not free."""
    for i in bounded(elf.count, MAX_HEADERS):
        segment = elf.header(i)
        if is_loaded(segment):
            expect(
                memory.is_free(segment.address, segment.memory_bytes),
                "free memory where a segment goes: the domain may need more",
            )


def move_segments(elf: Elf, base: u64) -> None:
    """From the file that lies at `base` to their places, which have been checked."""
    done: u64 = 0
    for _ in bounded(elf.count, MAX_HEADERS):
        following = _next_in_file(elf, done)
        if following == elf.count:
            break
        segment = elf.header(following)
        source = base + segment.offset
        assert segment.address <= source, "a segment that moves up"
        if segment.address != source:
            copy_forward(segment.address, source, segment.file_bytes)
        done = segment.offset + segment.file_bytes
    for i in bounded(elf.count, MAX_HEADERS):
        segment = elf.header(i)
        if is_loaded(segment):
            clear(segment.address + segment.file_bytes, segment.memory_bytes - segment.file_bytes)


def is_entry(elf: Elf, entry: u64) -> bool:
    """Whether what the file has of a segment goes there."""
    for i in bounded(elf.count, MAX_HEADERS):
        segment = elf.header(i)
        if is_loaded(segment) and segment.address <= entry and entry - segment.address < segment.file_bytes:
            return True
    return False


def is_loaded(segment: ProgramHeader) -> bool:
    return segment.kind == LOAD and segment.memory_bytes != 0


def are_apart(one: ProgramHeader, other: ProgramHeader) -> bool:
    """Of segments that have been checked each by itself: in memory, and in the file."""
    if one.address < other.address + other.memory_bytes and other.address < one.address + one.memory_bytes:
        return False
    return one.offset >= other.offset + other.file_bytes or other.offset >= one.offset + one.file_bytes


def _next_in_file(elf: Elf, least: u64) -> u32:
    """The first segment from there on that the file has something of; `elf.count`: there is none."""
    found = elf.count
    lowest = ~u64(0)
    for i in bounded(elf.count, MAX_HEADERS):
        segment = elf.header(i)
        if is_loaded(segment) and segment.file_bytes != 0 and least <= segment.offset < lowest:
            lowest = segment.offset
            found = i
    return found
