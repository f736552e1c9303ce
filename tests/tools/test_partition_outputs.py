"""What the compiler writes for boot loaders and for people: U-Boot's folder, FIT images, maps."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import libfdt
import pytest

from tests.tools.boards import board
from tools.partition.__main__ import main
from tools.partition.nodes import read_tree
from tools.partition.uboot import script_image

TEXT = """
[hypervisor]
static_heap = [{ at = 0x70000000, size = "64M" }]

[[domain]]
name = "a"
memory = "64M"
cpus = 2
kernel = "Image"
ramdisk = "more/Image"
affinity = ["0", "1-2"]
[[domain.devices]]
path = "/soc/ticker@f0000"

[[domain]]
name = "b"
memory = "32M"
cpus = 1
kernel = "Image"
"""


@pytest.fixture
def place(files: Path, tmp_path: Path) -> Path:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "Image").write_bytes(b"070701")
    for name in ("Image", "hv.image"):
        shutil.copyfile(files / "Image", tmp_path / name)
    (tmp_path / "base.dtb").write_bytes(board())
    (tmp_path / "machine.toml").write_text(TEXT)
    return tmp_path


def run(place: Path, command: str, *more: str) -> None:
    assert main([command, str(place / "machine.toml"), "--base", str(place / "base.dtb"), *more]) == 0


def test_the_folder_for_uboot_has_all_that_its_script_loads(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(place, "build", "--format", "uboot", "-o", str(place / "out"), "--hypervisor", str(place / "hv.image"))
    out = place / "out"
    text = (out / "boot.cmd").read_text()
    loaded = dict(re.findall(r"load \S+ \S+ (0x[0-9a-f]+) \$\{prefix\}(\S+) \|\| exit\n", text))
    assert loaded == {
        "0x200000": "constrictor.image",
        "0x8000000": "machine.dtb",
        "0x10000000": "Image",
        "0x10200000": "2-Image",
        "0x10400000": "machine-a.dtb",
    }
    assert text.endswith("setenv fdt_high 0xffffffffffffffff\nbooti 0x200000 - 0x8000000\n")
    assert {path.name for path in out.iterdir()} == {*loaded.values(), "boot.cmd", "boot.scr"}
    assert (out / "2-Image").read_bytes() == b"070701"
    modules = [node for node in read_tree((out / "machine.dtb").read_bytes()).find("/chosen").walk() if node.reg()]
    for module in modules:
        ((address, size),) = module.reg()
        assert (out / loaded[f"{address:#x}"]).stat().st_size == size
    printed = [Path(line).name for line in capsys.readouterr().out.splitlines()]
    assert sorted(printed) == sorted([*loaded.values(), "boot.cmd", "boot.scr"])


def test_without_an_image_the_person_is_told_to_copy_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(place, "build", "--format", "uboot", "-o", str(place / "out"))
    assert "constrictor.image: to be copied there" in capsys.readouterr().out


def test_script_images_have_the_bytes_of_mkimage(tmp_path: Path) -> None:
    """`mkimage -A arm64 -O linux -T script -C none -n machine -d boot.cmd boot.scr` at SOURCE_DATE_EPOCH=0."""
    made = script_image("echo hello\n", "machine")
    assert made[:4] == bytes.fromhex("27051956") and len(made) == 64 + 8 + 11
    assert made[64:72] == (11).to_bytes(4) + bytes(4)
    (tmp_path / "boot.cmd").write_text("echo hello\n")
    words = "mkimage -A arm64 -O linux -T script -C none -n machine -d".split()
    subprocess.run(
        [*words, "boot.cmd", "boot.scr"],
        cwd=tmp_path,
        env={**os.environ, "SOURCE_DATE_EPOCH": "0"},
        check=True,
        capture_output=True,
    )
    assert made == (tmp_path / "boot.scr").read_bytes()


def test_a_fit_image_holds_everything_with_its_place_and_digest(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(place, "build", "--format", "fit", "-o", str(place / "all.itb"), "--hypervisor", str(place / "hv.image"))
    raw = (place / "all.itb").read_bytes()
    assert libfdt.fdt_check_full(bytearray(raw), len(raw)) == 0
    tree = read_tree(raw)
    configuration = tree.find("/configurations/machine")
    assert tree.find("/configurations").string("default") == "machine"
    named = [*configuration.strings("kernel"), *configuration.strings("fdt"), *configuration.strings("loadables")]
    images = tree.find("/images").children
    assert [image.name for image in images] == named
    for image in images:
        (digest,) = image.children
        assert digest.string("algo") == "sha256"
        assert digest.properties["value"] == hashlib.sha256(image.properties["data"]).digest()
        assert image.string("arch") == "arm64"
    hypervisor, dtb, *files = images
    assert hypervisor.cell("load") == hypervisor.cell("entry") == 0x20_0000
    assert hypervisor.properties["data"] == (place / "hv.image").read_bytes()
    modules = {node.reg()[0] for node in read_tree(dtb.properties["data"]).find("/chosen").walk() if node.reg()}
    assert {(image.cell("load"), len(image.properties["data"])) for image in files} == modules
    assert "bootm 0x10600000" in capsys.readouterr().out, "the image itself lies behind all that comes out of it"


@pytest.mark.parametrize("wanted", [[], ["--hypervisor", "initrd"]])
def test_a_fit_image_needs_a_hypervisor(place: Path, wanted: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (place / "initrd").write_bytes(b"070701")
    words = [str(place / word) if word == "initrd" else word for word in wanted]
    with pytest.raises(SystemExit) as caught:
        run(place, "build", "--format", "fit", "-o", str(place / "all.itb"), *words)
    assert caught.value.code == 2
    assert ("is not an arm64 Image" if words else "--hypervisor IMAGE") in capsys.readouterr().err


def test_the_map_as_text(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(place, "show")
    rows = [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in capsys.readouterr().out.splitlines()]
    assert ["a", "0", "64M", "#", ".", ".", "."] in rows
    assert ["", "1", "", ".", "#", "#", "."] in rows
    assert ["b", "0", "32M", "#", "#", "#", "#"] in rows
    assert ["0x0", "0x1000000", "16M", "the hypervisor's image", "hypervisor", ""] in rows
    assert ["0x70000000", "0x74000000", "64M", "the hypervisor's heap", "hypervisor", "machine.toml:3"] in rows
    assert ["0xff0f0000", "0xff0f1000", "4K", "/soc/ticker@f0000", "a", "machine.toml:13"] in rows
    assert ["0x40000000", "0x44000000", "64M", "memory", "a", "machine.toml:7"] in rows


def test_the_map_as_a_picture(place: Path) -> None:
    run(place, "show", "-o", str(place / "map.svg"))
    root = ElementTree.parse(place / "map.svg").getroot()
    name = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{name}svg"
    tips = [title.text for title in root.iter(f"{name}title")]
    assert "0x70000000-0x74000000 the hypervisor's heap (machine.toml:3)" in tips
    texts = ["".join(text.itertext()) for text in root.iter(f"{name}text")]
    assert {"machine", "a", "b", "CPUs", "a vCPU 1"} <= set(texts)
    width, height = float(root.get("width")), float(root.get("height"))
    for box in root.iter(f"{name}rect"):
        assert float(box.get("x", 0)) + float(box.get("width")) <= width
        assert float(box.get("y", 0)) + float(box.get("height")) <= height
