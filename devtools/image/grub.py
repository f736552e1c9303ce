"""GRUB itself, as one file for each way of starting, with every module that the menu needs inside.

grub-mkimage links modules behind GRUB's kernel. The small configuration inside finds the medium that it came from by a
file that only this medium has, since GRUB's own idea of where it came from differs with the firmware.
"""

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from devtools.report import Problem

LIBRARY = Path("/usr/lib/grub")
SECTOR = 512

COMMON = (
    *("part_gpt", "part_msdos", "iso9660", "fat", "search", "search_fs_file", "normal", "configfile", "test"),
    *("multiboot2", "serial", "terminal", "echo", "ls", "cat", "sleep", "reboot", "halt"),
)
BIOS = (*COMMON, "biosdisk")
UEFI = (*COMMON, "efi_gop", "efi_uga")
"""With a driver of the screen, since UEFI has no text mode that outlives it: the hypervisor is told of the picture."""

# i386-pc/boot.img and i386-pc/diskboot.img: include/grub/i386/pc/boot.h of GRUB 2.06
KERNEL_SECTOR = 0x5C  # u64: where core.img begins
DRIVE_CHECK = 0x66  # a jump that has to go on anything but a floppy disk
BLOCK_LIST = SECTOR - 12  # of core.img's first sector: u64 first sector of the rest, u16 how many


def library(program: str, folder: str) -> Path:
    """A file that Debian's packages of GRUB bring."""
    path = LIBRARY / folder / program
    if not path.is_file():
        raise Problem(f"GRUB's {path} is missing: install the packages grub-pc-bin and grub-efi-amd64-bin")
    return path


def image(form: str, marker: str, folder: Path) -> bytes:
    """GRUB in a form of grub-mkimage: i386-pc, i386-pc-eltorito or x86_64-efi. `folder` is for what lies between."""
    start = folder / f"{form}.cfg"
    start.write_text(f"search --no-floppy --set=root --file {marker}\nset prefix=($root)/boot/grub\n")
    out = folder / f"{form}.img"
    modules: Sequence[str] = UEFI if form == "x86_64-efi" else BIOS
    run(["grub-mkimage", "-O", form, "-p", "/boot/grub", "-c", str(start), "-o", str(out), *modules])
    return out.read_bytes()


def boot_sector(core_sector: int) -> bytes:
    """The code of the first sector of a disk, which loads core.img from a sector of the same disk."""
    code = bytearray(library("boot.img", "i386-pc").read_bytes())
    struct.pack_into("<Q", code, KERNEL_SECTOR, core_sector)
    code[DRIVE_CHECK : DRIVE_CHECK + 2] = b"\x90\x90"
    return bytes(code)


def placed(core: bytes, core_sector: int) -> bytes:
    """core.img with the place of its rest, which its first sector loads, filled up to whole sectors."""
    core += bytes(-len(core) % SECTOR)
    first = bytearray(core[:SECTOR])
    struct.pack_into("<QH", first, BLOCK_LIST, core_sector + 1, len(core) // SECTOR - 1)
    return bytes(first) + core[SECTOR:]


def run(command: Sequence[str], **environment: str) -> None:
    """Runs a program whose output matters only when it fails."""
    done = subprocess.run(
        command,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Problem(f"{' '.join(command)} failed:\n{done.stdout}")
