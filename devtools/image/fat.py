"""A FAT file system with files in it, made by mtools: what UEFI starts from."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from devtools.image.grub import run
from devtools.report import Problem

SECTOR = 512
ROOM = 1 << 20  # for folders, FATs of a size that is not known yet, and slack at the end of clusters
FAT32_LEAST = 34 << 20  # 65,525 clusters of a sector, and the FATs: smaller ones are read as FAT16


def size(files: Mapping[str, Path], least: int = 0) -> int:
    """Bytes of a file system that holds the files, whole MiB."""
    wanted = sum(path.stat().st_size for path in files.values()) * 17 // 16 + ROOM
    return max(-(-wanted // ROOM) * ROOM, least)


def write(place: Path, files: Mapping[str, Path], length: int, serial: int, epoch: int, offset: int = 0) -> None:
    """Makes a file system of `length` bytes at an offset of an existing file, where nothing but zeros is.

    `files` are absolute names in it, and their contents. FAT32 when it is large enough for it; `serial` is the number
    of the volume, `epoch` the date of everything.
    """
    drive = f"{place}@@{offset}"
    kind = ["-F"] if length >= FAT32_LEAST else []
    geometry = ["-T", str(length // SECTOR), "-h", "255", "-s", "63", "-c", "1"]
    mtools("mformat", drive, epoch, *kind, *geometry, "-N", f"{serial:08x}", "-v", "CONSTRICTOR", "::")
    folders = {folder for name in files for folder in PurePosixPath(name).parents if folder != PurePosixPath("/")}
    for folder in sorted(folders):
        mtools("mmd", drive, epoch, f"::{folder}")
    for name, path in sorted(files.items()):
        mtools("mcopy", drive, epoch, str(path), f"::{name}")


def mtools(program: str, drive: str, epoch: int, *arguments: str) -> None:
    """Runs one of mtools on a drive, FILE@@OFFSET, with the dates that it writes given."""
    try:
        run([program, "-i", drive, *arguments], SOURCE_DATE_EPOCH=str(epoch), MTOOLS_SKIP_CHECK="1")
    except FileNotFoundError:
        raise Problem(f"{program} is missing: install the package mtools") from None
