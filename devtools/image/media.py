"""Images from the hypervisor's file and a menu: the CD, and the disk with its two partitions."""

import hashlib
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from devtools import bootstrap
from devtools.image import fat, gpt, grub, menu
from devtools.image.menu import Entry
from devtools.paths import cache
from devtools.report import Problem, locked

SECTOR = 512
MIB = 1 << 20
EPOCH = 1_767_225_600
"""2026-01-01T00:00:00Z: the date of what is written unless SOURCE_DATE_EPOCH names another."""
NAMES = uuid.UUID("8a1f5e0c-36b2-5d0c-9d8e-0f5b7b0f2c11")
"""The name space of the numbers that disks and partitions get."""
CYLINDER = 16 * 63 * SECTOR
"""A disk is whole cylinders of the geometry that BIOSes and Bochs assume."""
CORE_AT = MIB  # where partitions have begun since disks have had sectors of 4 KiB


@dataclass(frozen=True)
class Contents:
    """What an image is made of: the hypervisor's ELF file, and a menu that waits `timeout` seconds for another choice
    than the entry of number `default`.
    """

    hypervisor: Path
    entries: tuple[Entry, ...]
    timeout: int = 3
    default: int = 0

    @property
    def modules(self) -> list[Path]:
        """Of all entries."""
        return [path for entry in self.entries for path in entry.modules]

    def menu(self) -> str:
        return menu.text(self.entries, self.timeout, self.default)

    def digest(self) -> str:
        """Of everything that decides what is written: the contents, the date, GRUB and the programs here."""
        shown = [(entry.title, entry.command_line, len(entry.modules)) for entry in self.entries]
        said = hashlib.sha256(repr((shown, self.timeout, self.default, epoch())).encode())
        for path in [self.hypervisor, *self.modules, *sorted(Path(__file__).parent.glob("*.py")), *_grub_files()]:
            said.update(hashlib.sha256(path.read_bytes()).digest())
        return said.hexdigest()


def _grub_files() -> Iterator[Path]:
    for folder, modules in (("i386-pc", grub.BIOS), ("x86_64-efi", grub.UEFI)):
        yield from (grub.library(f"{module}.mod", folder) for module in modules)
        yield grub.library("kernel.img", folder)


def epoch() -> int:
    """The seconds of 1970 that are written for dates. Problem: SOURCE_DATE_EPOCH is no number of seconds."""
    said = os.environ.get("SOURCE_DATE_EPOCH", str(EPOCH))
    if not said.isdecimal():
        raise Problem(f"SOURCE_DATE_EPOCH is {said!r}: write seconds since 1970, such as {EPOCH}, or leave it out")
    return int(said)


def make(kind: str, contents: Contents, out: Path) -> None:
    """Writes an image, "iso" or "disk". The file is there only when it is complete."""
    bootstrap.ensure("image")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
        partial = Path(folder) / "image"
        MAKERS[kind](contents, Path(folder), partial)
        partial.rename(out)


def cached(kind: str, contents: Contents) -> Path:
    """An image with these contents, made when the cache has none."""
    bootstrap.ensure("image")
    place = cache() / "images" / f"{contents.digest()[:24]}.{kind}"
    if not place.exists():
        with locked(place.parent / ".lock"):
            if not place.exists():
                make(kind, contents, place)
    return place


class _Medium:
    """The files that both kinds of image hold, laid out in a working folder, and GRUB in its forms."""

    def __init__(self, contents: Contents, folder: Path) -> None:
        self.digest = contents.digest()
        self.folder = folder
        self.marker = f"/boot/{self.digest[:16]}.id"
        self.epoch = epoch()
        self.seed = uuid.uuid5(NAMES, self.digest)
        self.serial = int(self.digest[:8], 16)
        self.files = {
            menu.HYPERVISOR: contents.hypervisor,
            menu.CONFIGURATION: self._file("grub.cfg", contents.menu().encode()),
            self.marker: self._file("marker", self.digest.encode() + b"\n"),
            **{menu.module_name(path): path for path in contents.modules},
        }

    def grub(self, form: str) -> bytes:
        return grub.image(form, self.marker, self.folder)

    def uefi(self) -> dict[str, Path]:
        """The file that UEFI starts from a removable medium (UEFI specification 2.10, section 3.5.1.1)."""
        return {"/EFI/BOOT/BOOTX64.EFI": self._file("bootx64.efi", self.grub("x86_64-efi"))}

    def tree(self, root: Path, more: Iterable[tuple[str, bytes]]) -> None:
        """The files as a folder, all with the same date."""
        every = {name: path.read_bytes() for name, path in self.files.items()} | dict(more)
        for name, data in every.items():
            path = root / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        for path in [root, *root.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
            os.utime(path, (self.epoch, self.epoch))

    def _file(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path


def _iso(contents: Contents, folder: Path, out: Path) -> None:
    """A CD that starts by El Torito under BIOS and UEFI, and also from a USB stick that it is copied to.

    The master boot record is GRUB's for such hybrids; xorriso tells it and the boot image where the latter lies.
    """
    medium = _Medium(contents, folder)
    root, system = folder / "tree", folder / "efi.img"
    eltorito = "/boot/grub/eltorito.img"
    medium.tree(root, [(eltorito, medium.grub("i386-pc-eltorito"))])
    files = medium.uefi()
    system_bytes = fat.size(files)
    with system.open("wb") as empty:
        empty.truncate(system_bytes)
    fat.write(system, files, system_bytes, medium.serial, medium.epoch)
    day = time.strftime("%Y%m%d%H%M%S00", time.gmtime(medium.epoch))
    bios = ["-b", eltorito, "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info"]
    hybrid = ["--grub2-mbr", str(grub.library("boot_hybrid.img", "i386-pc")), "--mbr-force-bootable"]
    partition = ["-append_partition", "2", "0xef", str(system), "-appended_part_as_gpt"]
    uefi = ["-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::", "-no-emul-boot"]
    dates = ["--modification-date=" + day, "--set_all_file_dates", day]
    names = ["-V", "CONSTRICTOR", "-r", "-J"]
    grub.run(
        ["xorriso", "-as", "mkisofs", *names, *dates, *bios, *hybrid, *partition, *uefi, "-o", str(out), str(root)],
        SOURCE_DATE_EPOCH=str(medium.epoch),
        HOME=str(folder),
    )


def _disk(contents: Contents, folder: Path, out: Path) -> None:
    """A disk with a GUID partition table: GRUB's core for BIOS in one partition, all files in the one for UEFI."""
    medium = _Medium(contents, folder)
    core_sector = CORE_AT // SECTOR
    core = grub.placed(medium.grub("i386-pc"), core_sector)
    files = medium.files | medium.uefi()
    system_bytes = fat.size(files, fat.FAT32_LEAST)
    boot = gpt.Partition("BIOS boot", gpt.BIOS_BOOT, core_sector, MIB // SECTOR)
    if len(core) > MIB:
        raise Problem(f"GRUB's core of {len(core)} bytes is larger than its partition of {MIB}")
    efi = gpt.Partition("EFI system", gpt.EFI_SYSTEM, boot.first + boot.sectors, system_bytes // SECTOR)
    partitions = (boot, efi)
    least = (efi.first + efi.sectors + gpt.RESERVED_AT_END) * SECTOR
    sectors = -(-least // CYLINDER) * CYLINDER // SECTOR
    with out.open("wb") as disk:
        disk.truncate(sectors * SECTOR)
        for place, data in (
            (0, gpt.begin(sectors, partitions, medium.seed, grub.boot_sector(core_sector))),
            (boot.first, core),
            (sectors - gpt.RESERVED_AT_END, gpt.end(sectors, partitions, medium.seed)),
        ):
            disk.seek(place * SECTOR)
            disk.write(data)
    fat.write(out, files, system_bytes, medium.serial, medium.epoch, efi.first * SECTOR)


MAKERS: dict[str, Callable[[Contents, Path, Path], None]] = {"iso": _iso, "disk": _disk}
