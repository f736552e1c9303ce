"""Unpacks the kernel that the first module of the start information is, and says where to enter it.

All of it happens in the guest's memory with the guest's rights. Whatever is wrong with the kernel's file ends the
domain with one line that says where, and what was expected.
"""

from hv.common.lib.bzimage import payload_of
from hv.common.lib.elf import Elf, read_elf
from hv.common.lib.span import Bytes
from hv.common.lib.text import TextBuffer
from hv.lang import Embedded, Errno, Final, Never, address_of, array, export, raises, symbol, u8, u64
from hv.x86.pvh_entry import pvh_entry
from loader.unpack.fault import expect, fault
from loader.unpack.source import Source
from loader.unpack.unpack import Packing, packing_of, unpack
from loader.unpack.window import Window
from loader.x86.hypercall import crash, set_up, write
from loader.x86.memory import Memory
from loader.x86.segments import check_places, is_entry, lowest_base, move_segments
from loader.x86.start import StartInformation

HEAD: Final = 8192  # bytes of the kernel's file in which its headers have to lie
SIZE_BYTES: Final[u64] = 4
SMALLEST: Final[u64] = 64


class Loader:
    stage: str
    unpacking: bool
    start: Embedded[StartInformation]
    memory: Embedded[Memory]
    source: Embedded[Source]
    window: Embedded[Window]
    head: array[u8, HEAD]
    said: TextBuffer[256]


loader: Final = Loader()


@export
def loader_main(information: u64) -> u64:
    """The address at which the kernel is entered, with the start information as it is then."""
    set_up()
    try:
        return load(information)
    except Errno:
        give_up()


@raises
def load(information: u64) -> u64:
    """EINVAL: the stage and the fault tell why the kernel cannot be started."""
    loader.stage = "the start information"
    loader.start.init(information)
    loader.start.tell(loader.memory)
    loader.memory.take(symbol("__start"), symbol("__end") - symbol("__start"))

    loader.stage = "the kernel's file"
    packed = packed_kernel(loader.start.module(0))
    size = u64(packed.le32(packed.length - SIZE_BYTES))

    loader.stage = "the packed kernel"
    elf = read_head(packed, size)
    loader.stage = "the kernel's headers"
    base = place_for(elf, size)
    loader.stage = "the packed kernel"
    unpack_all(packed, Bytes(base, size))

    loader.stage = "the kernel's ELF file"
    entry = entry_of(Bytes(base, size))
    expect(is_entry(elf, entry), "a PVH entry that lies in a segment")
    move_segments(elf, base)
    loader.start.drop_first()
    return entry


@raises
def packed_kernel(file: Bytes) -> Bytes:
    """In a bzImage. The size that it has when it is unpacked stands at its end."""
    try:
        payload = payload_of(file)
        expect(payload.length >= SMALLEST, "a packed kernel")
        return payload
    except Errno:
        fault.expected = "a bzImage that holds a packed kernel"
        raise


@raises
def read_head(packed: Bytes, size: u64) -> Elf:
    """The headers, which stay in our own memory."""
    head = Bytes(address_of(loader.head), min(size, HEAD))
    loader.window.init(head)
    try:
        unpack_from(packed)
    except Errno as e:
        if e is not Errno.ENOSPC:
            raise
        loader.unpacking = False
    try:
        return read_elf(head)
    except Errno:
        fault.expected = "an ELF file, whose headers lie in its first 8 KiB"
        raise


@raises
def place_for(elf: Elf, size: u64) -> u64:
    """Where the whole file is unpacked."""
    least = lowest_base(elf, size)
    check_places(elf, loader.memory)
    try:
        return loader.memory.find(least, size)
    except Errno:
        fault.expected = "free memory for the unpacked file: the domain needs more"
        raise


@raises
def unpack_all(packed: Bytes, into: Bytes) -> None:
    loader.window.init(into)
    try:
        unpack_from(packed)
    except Errno as e:
        if e is Errno.ENOSPC:
            fault.expected = "no more bytes than the size at its end tells"
        raise
    expect(loader.window.full, "as many bytes as the size at its end tells")


@raises
def unpack_from(packed: Bytes) -> None:
    """EINVAL, ENOSPC. The size is a part of gzip's format alone."""
    loader.unpacking = True
    own = packing_of(packed) == Packing.GZIP
    loader.source.init(packed if own else packed.part(0, packed.length - SIZE_BYTES))
    unpack(loader.source, loader.window)
    loader.unpacking = False


@raises
def entry_of(file: Bytes) -> u64:
    try:
        return pvh_entry(read_elf(file))
    except Errno:
        fault.expected = "a kernel for PCs with a PVH entry (CONFIG_PVH)"
        raise


def give_up() -> Never:
    said = loader.said
    said.write(f"loader: in {loader.stage}")
    if loader.unpacking:
        said.write(f", at byte {loader.source.at}")
    said.write(f": expected {fault.expected}\n")
    write(address_of(said.bytes), u64(said.length))
    crash()
