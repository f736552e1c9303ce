"""A boot medium's folder for U-Boot: a script, the files that it loads, and the hypervisor.

The script uses the variables of U-Boot's standard boot (doc/develop/distro.rst), which runs a boot.scr by itself.
Script images have the legacy header (U-Boot, include/image.h: struct legacy_img_hdr) around a table of lengths and the
text.
"""

from __future__ import annotations

import shlex
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from tools.partition.model import Compiled, Load
from tools.partition.places import Places

MAGIC = 0x27051956
LINUX, ARM64, SCRIPT, UNCOMPRESSED = 5, 22, 6, 0  # IH_OS_*, IH_ARCH_*, IH_TYPE_*, IH_COMP_*
NAME_SIZE = 32
MEDIUM = "${devtype} ${devnum}:${distro_bootpart}"
HYPERVISOR = "constrictor.image"


def write_folder(folder: Path, compiled: Compiled, places: Places, stem: str, hypervisor: Path | None) -> list[Path]:
    """Puts everything into the folder, which is made if need be. Returns what is there; without an image of the
    hypervisor, that one is left for the person to copy. OSError: something cannot be read or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = list(_unique([HYPERVISOR, f"{stem}.dtb", *(_name_of(load, stem) for load in compiled.loads)]))
    written = []
    for load, name in zip(compiled.loads, names[2:], strict=True):
        _put(folder / name, load.path if load.content is None else load.content)
        written.append(folder / name)
    _put(folder / names[1], compiled.dtb)
    written.append(folder / names[1])
    if hypervisor is not None:
        _put(folder / HYPERVISOR, hypervisor)
        written.append(folder / HYPERVISOR)
    text = script(compiled, places, names)
    _put(folder / "boot.cmd", text.encode())
    _put(folder / "boot.scr", script_image(text, stem))
    return [*written, folder / "boot.cmd", folder / "boot.scr"]


def script(compiled: Compiled, places: Places, names: list[str]) -> str:
    """Loads everything where the tree says, and starts the hypervisor. A file that is missing ends it."""
    addresses = [places.hypervisor, places.tree, *(load.address for load in compiled.loads)]
    loads = [
        f"load {MEDIUM} {address:#x} ${{prefix}}{shlex.quote(name)} || exit"
        for address, name in sorted(zip(addresses, names, strict=True))
    ]
    keep = "setenv fdt_high 0xffffffffffffffff"  # the tree stays where it is, and so on no domain's files
    return "\n".join([*loads, keep, f"booti {places.hypervisor:#x} - {places.tree:#x}", ""])


def script_image(text: str, name: str) -> bytes:
    """What mkimage -A arm64 -T script makes of the text, with a time of 0."""
    raw = text.encode()
    body = struct.pack(">II", len(raw), 0) + raw
    title = name.encode()[: NAME_SIZE - 1]

    def header(checksum: int) -> bytes:
        kind = (LINUX, ARM64, SCRIPT, UNCOMPRESSED)
        return struct.pack(">7I4B32s", MAGIC, checksum, 0, len(body), 0, 0, zlib.crc32(body), *kind, title)

    return header(zlib.crc32(header(0))) + body


def _name_of(load: Load, stem: str) -> str:
    return load.path.name if load.content is None else f"{stem}-{load.path.name}"


def _unique(names: list[str]) -> Iterator[str]:
    seen: set[str] = {"boot.cmd", "boot.scr"}
    for name in names:
        candidate, number = name, 1
        while candidate.lower() in seen:  # FAT has one case
            number += 1
            candidate = f"{number}-{name}"
        seen.add(candidate.lower())
        yield candidate


def _put(path: Path, content: Path | bytes) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        shutil.copyfile(content, path)
