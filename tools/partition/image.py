"""The headers of kernels, as far as a loader has to know them: of arm64 Images, and of bzImages and ELF files with a
PVH entry.

Source: Linux Documentation/arm64/booting.rst, section 4: text_offset (u64 at 0x08), image_size (u64 at 0x10), magic
"ARM\\x64" at 0x38, all little-endian; image_size 0 is that of kernels before 3.17, whose text_offset is 0x80000.
Of the PVH entry: Xen, public/elfnote.h. Of bzImages: Linux, arch/x86/boot.rst; what they hold only shows when they are
unpacked.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import NoteSegment

from tools.partition.mistakes import Wrong

HEADER_SIZE = 64
BZIMAGE_HEADER = 0x264


@dataclass(frozen=True)
class Image:
    """Bytes from the start of the domain's memory that the running kernel takes: text_offset and its image with bss."""

    footprint: int


def read_image(path: Path, named: str) -> Image:
    """Wrong: not an uncompressed arm64 Image. OSError: unreadable. `named` is how the partition file names it."""
    with path.open("rb") as file:
        header = file.read(HEADER_SIZE)
        size = file.seek(0, 2)
    if header[0x38:0x3C] == b"ARM\x64":
        text_offset, image_size = struct.unpack_from("<QQ", header, 0x08)
        return Image(text_offset + max(image_size, size) if image_size else 0x80000 + size)
    raise Wrong(*_explain(header, named))


PHYS32_ENTRY: object = 18


def read_pvh(path: Path, named: str) -> Image:
    """Wrong: neither a bzImage nor an ELF file with a PVH entry. OSError: unreadable."""
    with path.open("rb") as file:
        header = file.read(BZIMAGE_HEADER)
        if len(header) == BZIMAGE_HEADER and header[0x1FE:0x200] == b"\x55\xaa" and header[0x202:0x206] == b"HdrS":
            return _read_bzimage(header, file.seek(0, 2), named)
        try:
            elf = ELFFile(file)
            segments = list(elf.iter_segments())
            notes = [note for segment in segments if isinstance(segment, NoteSegment) for note in segment.iter_notes()]
        except ELFError:
            raise Wrong(f'"{named}" is neither a bzImage nor an ELF file', "name a kernel (vmlinuz)") from None
        if not any(note["n_name"] == "Xen" and note["n_type"] == PHYS32_ENTRY for note in notes):
            raise Wrong(f'"{named}" has no PVH entry', "name a kernel that was built with CONFIG_PVH")
        loads = [segment for segment in segments if segment["p_type"] == "PT_LOAD"]
        return Image(max(segment["p_paddr"] + segment["p_memsz"] for segment in loads) if loads else 0)


def _read_bzimage(header: bytes, size: int, named: str) -> Image:
    """Its file stays beside the kernel until that is unpacked."""
    version, flags = struct.unpack_from("<H", header, 0x206)[0], header[0x211]
    if version < 0x20A or not flags & 1:
        raise Wrong(f'"{named}" is a kernel before Linux 2.6.31', "name a newer one")
    address, memory = struct.unpack_from("<QI", header, 0x258)
    return Image(address + memory + size)


def _explain(header: bytes, named: str) -> tuple[str, str]:
    if header[:2] == b"\x1f\x8b":
        return (
            f'"{named}" is compressed with gzip',
            f"unpack it (gzip -dc {named} > Image) and write the new file's name",
        )
    if header[:2] == b"MZ" and header[4:8] == b"zimg":
        return (
            f'"{named}" is a self-unpacking EFI image',
            "name the kernel's uncompressed Image (arch/arm64/boot/Image in its build)",
        )
    if header[:4] == b"\x7fELF":
        return f'"{named}" is an ELF file', "name the Image made from it (vmlinux -> arch/arm64/boot/Image)"
    if header[0x24:0x28] == b"\x18\x28\x6f\x01":
        return f'"{named}" is a zImage for 32-bit Arm', "name an arm64 Image"
    return f'"{named}" is not an arm64 Image (no "ARM\\x64" at 0x38)', "name an uncompressed arm64 kernel Image"
