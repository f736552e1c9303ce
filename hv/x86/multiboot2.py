"""Reading multiboot2's boot information.

The structure is a list of tags in memory that the loader gave; every tag is checked before it is read, whatever it
says. Unknown tags are passed over.

Source: Multiboot2 Specification 2.0, 3.4 (machine state) and 3.6 (boot information).
"""

from hv.common.drivers.screen import Screen, ScreenKind
from hv.common.lib.span import Bytes
from hv.common.mm.types import Paddr
from hv.lang import Errno, Final, Iterator, bounded, raises, u8, u32, u64, unbounded, value
from hv.x86.boot_information import BootInformation
from hv.x86.memory_map import MAX_ENTRIES, MemoryKind, kind_of, kind_of_efi

MAGIC: Final[u32] = 0x36D7_6289  # in EAX
HEAD: Final[u64] = 8  # total size and a reserved word; also the type and size of a tag
MAX_SIZE: Final[u64] = 0x10_0000

END: Final = 0
COMMAND_LINE: Final = 1
LOADER_NAME: Final = 2
MODULE: Final = 3
BASIC_MEMORY: Final = 4
MEMORY_MAP: Final = 6
FRAMEBUFFER: Final = 8
EFI32_SYSTEM_TABLE: Final = 11
EFI64_SYSTEM_TABLE: Final = 12
ACPI_OLD: Final = 14
ACPI_NEW: Final = 15
EFI_MEMORY_MAP: Final = 17
EFI_BOOT_SERVICES: Final = 18

SMALLEST_E820: Final[u64] = 20  # bytes of an entry, without its reserved word
SMALLEST_EFI: Final[u64] = 40
EFI_PAGE: Final[u64] = 4096
MOST_EFI_PAGES: Final[u64] = 1 << 52

FRAMEBUFFER_BYTES: Final[u64] = 32
RGB_BYTES: Final[u64] = 38
RGB: Final = 1
EGA_TEXT: Final = 2


@value
class Tag:
    kind: u32
    bytes: Bytes  # with the type and the size

    @raises
    def require(self, size: u64) -> None:
        """EINVAL: the tag is shorter."""
        if not self.bytes.holds(0, size):
            raise Errno.EINVAL


@value
class Tags:
    """Of a list that `checked` has been through."""

    bytes: Bytes

    @unbounded("each step goes on by at least eight bytes")
    def __iter__(self) -> Iterator[Tag]:
        at: u64 = 0
        while self.bytes.le32(at) != END:
            length = u64(self.bytes.le32(at + 4))
            yield Tag(self.bytes.le32(at), self.bytes.part(at, length))
            at += length + 7 & ~u64(7)

    def has(self, kind: u32) -> bool:
        for tag in self:
            if tag.kind == kind:
                return True
        return False


@raises
def total_size(head: Bytes) -> u64:
    """From the first eight bytes, how many there are. EINVAL: that cannot be."""
    if not head.holds(0, HEAD):
        raise Errno.EINVAL
    size = u64(head.le32(0))
    if size < 2 * HEAD or size > MAX_SIZE:
        raise Errno.EINVAL
    return size


@raises
def read_multiboot2(structure: Bytes, into: BootInformation) -> None:
    """Reads the whole structure. EINVAL: it is malformed. ENOSPC: more modules or text than there is room for."""
    tags = Tags(checked(structure.part(0, total_size(structure))))
    efi_alone = not tags.has(MEMORY_MAP)
    services = tags.has(EFI_BOOT_SERVICES)
    for tag in tags:
        match tag.kind:
            case 1:
                into.command_line = into.kept(tag.bytes.string(HEAD))
            case 2:
                into.loader = into.kept(tag.bytes.string(HEAD))
            case 3:
                _module(tag, into)
            case 4:
                if efi_alone and not tags.has(EFI_MEMORY_MAP):
                    _basic_memory(tag, into)
            case 6:
                _memory_map(tag, into)
            case 8:
                into.screen = _screen(tag)
            case 11:
                tag.require(HEAD + 4)
                into.efi_system_table = Paddr(u64(tag.bytes.le32(HEAD)))
            case 12:
                tag.require(HEAD + 8)
                into.efi_system_table = Paddr(tag.bytes.le64(HEAD))
            case 14:
                if not tags.has(ACPI_NEW):
                    into.set_rsdp(tag.bytes.rest(HEAD))
            case 15:
                into.set_rsdp(tag.bytes.rest(HEAD))
            case 17:
                if efi_alone:
                    _efi_map(tag, services, into)
            case _:
                pass


@raises
@unbounded("each step goes on by at least eight bytes")
def checked(structure: Bytes) -> Bytes:
    """The list of tags behind the head. EINVAL: one leaves the structure, or the end's is missing."""
    tags = structure.rest(HEAD)
    at: u64 = 0
    while True:
        if not tags.holds(at, HEAD):
            raise Errno.EINVAL
        length = u64(tags.le32(at + 4))
        if length < HEAD or not tags.holds(at, length):
            raise Errno.EINVAL
        if tags.le32(at) == END:
            return tags.part(0, at + HEAD)
        at += length + 7 & ~u64(7)


@raises
def _module(tag: Tag, into: BootInformation) -> None:
    tag.require(16)
    start = tag.bytes.le32(8)
    end = tag.bytes.le32(12)
    if end < start:
        raise Errno.EINVAL
    into.add_module(u64(start), u64(end - start), into.kept(tag.bytes.string(16)))


@raises
def _basic_memory(tag: Tag, into: BootInformation) -> None:
    """All that an old BIOS says: KiB from 0, and from 1 MiB up to the first hole."""
    tag.require(16)
    into.map.add(0, u64(tag.bytes.le32(8)) << 10, MemoryKind.RAM)
    into.map.add(0x10_0000, u64(tag.bytes.le32(12)) << 10, MemoryKind.RAM)


@raises
def _memory_map(tag: Tag, into: BootInformation) -> None:
    tag.require(16)
    step = u64(tag.bytes.le32(8))
    if step < SMALLEST_E820:
        raise Errno.EINVAL
    count = (tag.bytes.length - 16) // step
    for i in bounded(min(count, MAX_ENTRIES), MAX_ENTRIES):
        at = 16 + i * step
        into.map.add(tag.bytes.le64(at), tag.bytes.le64(at + 8), kind_of(tag.bytes.le32(at + 16)))
    into.map.left_out += u32(count - min(count, MAX_ENTRIES))


@raises
def _efi_map(tag: Tag, services: bool, into: BootInformation) -> None:
    tag.require(16)
    step = u64(tag.bytes.le32(8))
    if step < SMALLEST_EFI:
        raise Errno.EINVAL
    count = (tag.bytes.length - 16) // step
    for i in bounded(min(count, MAX_ENTRIES), MAX_ENTRIES):
        at = 16 + i * step
        pages = min(tag.bytes.le64(at + 24), MOST_EFI_PAGES - 1)
        into.map.add(tag.bytes.le64(at + 8), pages * EFI_PAGE, kind_of_efi(tag.bytes.le32(at), services))
    into.map.left_out += u32(count - min(count, MAX_ENTRIES))


@raises
def _screen(tag: Tag) -> Screen:
    """EINVAL: the tag is too short. A palette's colours are no use here: such a screen is none."""
    tag.require(FRAMEBUFFER_BYTES)
    bytes = tag.bytes
    kind = ScreenKind.NONE
    red_at: u8 = 0
    red_bits: u8 = 0
    green_at: u8 = 0
    green_bits: u8 = 0
    blue_at: u8 = 0
    blue_bits: u8 = 0
    if bytes.byte(29) == RGB:
        tag.require(RGB_BYTES)
        kind = ScreenKind.PIXELS
        red_at = bytes.byte(32)
        red_bits = bytes.byte(33)
        green_at = bytes.byte(34)
        green_bits = bytes.byte(35)
        blue_at = bytes.byte(36)
        blue_bits = bytes.byte(37)
    elif bytes.byte(29) == EGA_TEXT:
        kind = ScreenKind.TEXT
    return Screen(
        kind,
        Paddr(bytes.le64(8)),
        bytes.le32(16),
        bytes.le32(20),
        bytes.le32(24),
        bytes.byte(28),
        red_at,
        red_bits,
        green_at,
        green_bits,
        blue_at,
        blue_bits,
    )
