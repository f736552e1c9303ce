"""U-Boot itself boots what the partition compiler makes for it: a folder with a script, and a FIT image."""

import subprocess
from pathlib import Path

import pytest

from devtools import build, qemu
from devtools.machine import Machine
from devtools.scenario import Machine as Hardware
from tools.partition.__main__ import main
from tools.partition.uboot import script_image

pytestmark = pytest.mark.arm64

SECONDS = 90
UBOOT = Path("/usr/lib/u-boot/qemu_arm64/u-boot.bin")
MEDIUM = 64 << 20
DOMAIN = '[[domain]]\nname = "{}"\nmemory = 16\ncpus = 1\nkernel = "hello.image"\n'
HARDWARE = Hardware(cpus=2, memory=1024)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a partition file, the tree of its machine and the unikernel that it names."""
    hypervisor = build.build("arm64_virt")
    guest = hypervisor.parent / "qemu-tests" / "guests" / "hello.image"
    (tmp_path / "hello.image").write_bytes(guest.read_bytes())
    (tmp_path / "hv.image").write_bytes(hypervisor.read_bytes())
    (tmp_path / "base.dtb").write_bytes(qemu.base_tree(HARDWARE))
    head = '[board]\ntree = "base.dtb"\nhypervisor = "hv.image"\n'
    (tmp_path / "two.toml").write_text(head + DOMAIN.format("one") + DOMAIN.format("two"))
    return tmp_path


def medium(place: Path, files: list[Path]) -> Path:
    """A disk without partitions, which U-Boot looks at as well."""
    image = place / "medium.img"
    with image.open("wb") as file:
        file.truncate(MEDIUM)
    subprocess.run(["mformat", "-i", str(image), "-F", "::"], check=True, capture_output=True)
    subprocess.run(["mcopy", "-i", str(image), *map(str, files), "::/"], check=True, capture_output=True)
    return image


def boots(image: Path) -> None:
    words = qemu.hardware(HARDWARE)
    words += ["-nodefaults", "-no-reboot", "-display", "none", "-monitor", "none", "-serial", "stdio"]
    words += ["-bios", str(UBOOT), "-drive", f"if=none,format=raw,id=medium,file={image}"]
    with Machine([*words, "-device", "virtio-blk-device,drive=medium"]) as machine:
        machine.expect("Executing script", SECONDS)
        machine.expect("2 of 2 CPUs run", SECONDS)
        machine.expect_all(["(d1 one) READY hello", "(d2 two) READY hello"], SECONDS)


def test_the_folder_boots_by_its_script(place: Path) -> None:
    assert main(["build", str(place / "two.toml"), "--format", "uboot", "-o", str(place / "out")]) == 0
    boots(medium(place, sorted((place / "out").iterdir())))


def test_the_fit_image_boots_by_the_commands_that_are_printed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(place / "two.toml"), "--format", "fit", "-o", str(place / "two.itb")]) == 0
    (place / "boot.scr").write_bytes(script_image(capsys.readouterr().out, "fit"))
    boots(medium(place, [place / "two.itb", place / "boot.scr"]))
