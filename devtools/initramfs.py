"""The Linux guests' initramfs: Debian's static busybox, our /init, and the workloads of qemu-tests/initramfs."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

from devtools import cpio, debian
from devtools.paths import INITRAMFS, cache
from devtools.report import locked, progress

BLOCK_BYTES = 256 << 10
BLOCKS = 512  # 128 MiB of blocks in all
PARTS = 4
PARTED = (64, 512)  # MiB, of all parts together
SEED = 0x5EED


def busybox(architecture: str) -> Path:
    """The archive, built when busybox or one of our files changed. Uncompressed: guests start sooner."""
    program = debian.unpacked("busybox-static", architecture) / "bin" / "busybox"
    sources = [program, Path(__file__), Path(cpio.__file__), *sorted(p for p in INITRAMFS.rglob("*") if p.is_file())]
    digest = hashlib.sha256()
    for source in sources:
        digest.update(f"{source.name}\0{source.stat().st_mode}\0".encode() + source.read_bytes())
    place = cache() / "initramfs" / f"busybox-{architecture}-{digest.hexdigest()[:16]}.cpio"
    if not place.exists():
        with locked(place.parent / ".lock"):
            progress("building the guests' initramfs")
            partial = place.with_suffix(".partial")
            partial.write_bytes(cpio.archive(entries(program)))
            partial.rename(place)
    return place


def entries(program: Path) -> list[cpio.Entry]:
    """What is in the archive. /dev/console must be there before devtmpfs is, or /init starts without output."""
    block = checksum_block()
    return [
        cpio.folder("bin"),
        cpio.folder("dev"),
        cpio.folder("workloads"),
        cpio.character_device("dev/console", 5, 1),
        cpio.file("bin/busybox", program.read_bytes(), executable=True),
        cpio.file("init", (INITRAMFS / "init").read_bytes(), executable=True),
        *(
            cpio.file(f"workloads/{script.name}", script.read_bytes(), executable=True)
            for script in sorted((INITRAMFS / "workloads").iterdir())
        ),
        cpio.file("workloads/checksum.block", block),
        cpio.file("workloads/checksum.expected", f"{BLOCKS} {checksum_expected(block)}\n".encode()),
        cpio.file("workloads/checksums.expected", "".join(checksums_expected(block)).encode()),
    ]


def checksum_block() -> bytes:
    """The block that the checksum workload repeats with a number before each copy. Always the same."""
    return random.Random(SEED).randbytes(BLOCK_BYTES)


def checksums_expected(block: bytes) -> Iterator[str]:
    """Lines with what the workload of several processes must arrive at: MiB in all, first block, blocks, sum."""
    for mib in PARTED:
        blocks = (mib << 20) // BLOCK_BYTES // PARTS
        for first in range(0, PARTS * blocks, blocks):
            yield f"{mib} {first} {blocks} {checksum_expected(block, blocks, first)}\n"


def checksum_expected(block: bytes, blocks: int = BLOCKS, first: int = 0) -> str:
    """What the workload must arrive at: SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    for number in range(first, first + blocks):
        digest.update(b"block %d\n" % number + block)
    return digest.hexdigest()
