"""Packed kernels on the hypervisor for x86: what unpacks them runs in their guest, and a guest whose kernel is damaged
ends alone, with a line that says what was expected."""

from pathlib import Path

import bzimages
import pytest

from devtools import build, debian

pytestmark = pytest.mark.x86

SECONDS = 90
MACHINE = """
[scenario]
description = "packed kernels"

[machine]
arch = "x86"
cpu = "EPYC,+svm"
cpus = 2
memory = 512
boot = "iso"
"""
DOMAIN = """
[[domain]]
name = "{name}"
memory = 16
cpus = 1
kernel = "{name}.bzimage"
ramdisk = "ramdisk"
bootargs = "packed={name}"
"""


def unikernel() -> bytes:
    build.build("x86_pc")
    return (build.folder("x86_pc") / "qemu-tests" / "guests" / "pvh.image").read_bytes()


def test_a_packed_kernel_is_unpacked_in_its_guest(booted, tmp_path: Path) -> None:
    """By each packer. One with a changed bit, and one that is no kernel, end their domains."""
    elf = unikernel()
    files = {name: packer(elf) for name, packer in bzimages.PACKERS.items()}
    changed = bytearray(files["xz"])
    changed[len(changed) // 2] ^= 4
    files["changed"] = bytes(changed)
    files["empty"] = bzimages.gzip(bytes(range(256)) * 4)
    (tmp_path / "ramdisk").write_bytes(b"ramdisk" * 1000)
    scenario = MACHINE
    for name, payload in files.items():
        (tmp_path / f"{name}.bzimage").write_bytes(bzimages.bzimage(payload))
        scenario += DOMAIN.format(name=name)
    (tmp_path / "packed.toml").write_text(scenario)
    machine = booted("packed", folder=tmp_path)
    wanted = []
    for number, name in enumerate(bzimages.PACKERS, 1):
        wanted += [
            f"(d{number} {name}) memory 16 MiB, command line <packed={name}>",
            f"(d{number} {name}) DONE pvh ok",
            f"(hv) d{number} {name}: powered off",
        ]
    wanted += ["(d5 changed) loader: in the packed kernel, at byte ", "(hv) d5 changed: crashed"]
    wanted += ["(d6 empty) loader: in the packed kernel: expected an ELF file", "(hv) d6 empty: crashed"]
    machine.expect_all(wanted, SECONDS)
    assert machine.running, machine.tail()


@pytest.mark.parametrize(("package", "packed"), [("linux-image-amd64", "xz"), ("linux-image-cloud-amd64", "lz4")])
def test_debians_kernels_start_as_they_lie_in_their_packages(booted, tmp_path: Path, package: str, packed: str) -> None:
    """One is packed by xz with the filter for x86, the other by LZ4. The kernel finds what its command line says, and
    its ramdisk.
    """
    (kernel,) = (debian.unpacked(package, "amd64", behind="linux-image-") / "boot").glob("vmlinuz-*")
    (tmp_path / "ramdisk").write_bytes(bytes(50000))
    domain = f"""
[[domain]]
name = "{packed}"
memory = 192
cpus = 1
kernel = "{kernel}"
ramdisk = "ramdisk"
bootargs = "console=hvc0 earlyprintk=xen panic=-1"
"""
    (tmp_path / "debian.toml").write_text(MACHINE + domain)
    machine = booted("debian", folder=tmp_path)
    machine.expect(f"(d1 {packed}) [    0.000000] Linux version", SECONDS)
    machine.expect("Command line: console=hvc0 earlyprintk=xen panic=-1", SECONDS)
    machine.expect("Hypervisor detected: Xen", SECONDS)
    machine.expect("RAMDISK: [mem 0x", SECONDS)
