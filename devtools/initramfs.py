"""The Linux guests' initramfs: Debian's static busybox, our /init, and the workloads of qemu-tests/initramfs. With the
network it has a driver and more workloads.
"""

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from devtools import cpio, debian
from devtools.paths import INITRAMFS, cache
from devtools.report import Problem, locked, progress

NETWORK_WORKLOADS = INITRAMFS / "network"
BLOCK_BYTES = 256 << 10
BLOCKS = 512  # 128 MiB of blocks in all
PARTS = 4
PARTED = (16, 64, 512)  # MiB, of all parts together
SEED = 0x5EED


NETWORK = (
    *("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci"),
    *("failover", "net_failover", "virtio_net"),
)
"""The modules of Linux that drive virtio's network card on PCI, in the order in which they are loaded."""


def busybox(architecture: str) -> Path:
    """The archive, built when busybox or one of our files changed. Uncompressed: guests start sooner."""
    program = debian.unpacked("busybox-static", architecture) / "bin" / "busybox"
    sources = [program, *(path for path in sorted(INITRAMFS.rglob("*")) if NETWORK_WORKLOADS not in path.parents)]
    return _kept(f"busybox-{architecture}", sources, lambda: cpio.archive(entries(program)))


def network(architecture: str, kernel: Path) -> Path:
    """The archive with what a guest needs for a network: `kernel` is the folder of the unpacked kernel package."""
    plain = busybox(architecture)
    modules = [_module(kernel, name) for name in NETWORK]
    scripts = sorted(NETWORK_WORKLOADS.iterdir())
    return _kept(
        f"network-{architecture}",
        [plain, *modules, *scripts],
        lambda: plain.read_bytes() + cpio.archive(network_entries(modules, scripts)),
    )


def _module(kernel: Path, name: str) -> Path:
    for path in kernel.glob(f"lib/modules/*/kernel/**/{name}.ko"):
        return path
    raise Problem(f"the kernel in {kernel} has no module {name}.ko")


def _kept(name: str, sources: Iterable[Path], build: Callable[[], bytes]) -> Path:
    """An archive in the cache, by what it is made of and by what makes it."""
    digest = hashlib.sha256()
    for source in [*sources, Path(__file__), Path(cpio.__file__)]:
        if source.is_file():
            digest.update(f"{source.name}\0{source.stat().st_mode}\0".encode() + source.read_bytes())
    place = cache() / "initramfs" / f"{name}-{digest.hexdigest()[:16]}.cpio"
    if not place.exists():
        with locked(place.parent / ".lock"):
            progress("building the guests' initramfs")
            partial = place.with_suffix(".partial")
            partial.write_bytes(build())
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


def network_entries(modules: Sequence[Path], scripts: Sequence[Path]) -> list[cpio.Entry]:
    """What an archive with the network has more. Linux reads one archive behind the other."""
    return [
        cpio.folder("modules"),
        cpio.file("modules/order", "".join(f"{module.stem}\n" for module in modules).encode()),
        *(cpio.file(f"modules/{module.name}", module.read_bytes()) for module in modules),
        *(cpio.file(f"workloads/{script.name}", script.read_bytes(), executable=True) for script in scripts),
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
