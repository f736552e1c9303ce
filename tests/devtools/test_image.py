"""`./dev image`: the menu, the partition table, and that the same inputs make the same images."""

import argparse
import struct
import subprocess
import uuid
import zlib
from pathlib import Path

import pytest

from devtools import build, image
from devtools.image import command, fat, gpt, grub, media, menu
from devtools.image.menu import Entry
from devtools.report import Problem

SECTOR = 512
SEED = uuid.UUID(int=7)
ENTRIES = (Entry("Constrictor", "loglvl=all"), Entry("With $words", "a$b 'c'".replace("'", "")))


@pytest.fixture
def contents(tmp_path: Path) -> image.Contents:
    hypervisor = tmp_path / "hv.image"
    hypervisor.write_bytes(b"\x7fELF and so on" * 1000)
    return image.Contents(hypervisor, ENTRIES)


def test_the_menu_names_what_is_started_and_quotes_what_grub_would_read_otherwise() -> None:
    text = menu.text(ENTRIES, 5)
    assert "set timeout=5\n" in text
    assert "menuentry Constrictor {\n  multiboot2 /boot/hv.elf loglvl=all\n}" in text
    assert "menuentry 'With $words' {\n  multiboot2 /boot/hv.elf 'a$b' c\n}" in text
    assert text.index("serial --unit=0 --speed=115200") < text.index("menuentry")
    assert menu.quoted("") == "''"
    for word in ("it's", "a\nb"):
        with pytest.raises(Problem, match="leave single quotes and control characters out"):
            menu.quoted(word)


def test_a_partition_table_holds_what_the_specification_asks_for() -> None:
    sectors = 10_080
    partitions = (gpt.Partition("one", gpt.BIOS_BOOT, 2048, 2048), gpt.Partition("two", gpt.EFI_SYSTEM, 4096, 4096))
    first = gpt.begin(sectors, partitions, SEED, b"\xeb" * SECTOR)
    last = gpt.end(sectors, partitions, SEED)
    assert (len(first), len(last)) == (34 * SECTOR, 33 * SECTOR)
    assert first[:440] == b"\xeb" * 440 and first[510:512] == b"\x55\xaa"
    assert struct.unpack_from("<B3xB3xII", first, 446) == (0, 0xEE, 1, sectors - 1)
    table = first[2 * SECTOR :]
    assert table == last[:-SECTOR]
    for header, here, other, at in (
        (first[SECTOR : 2 * SECTOR], 1, sectors - 1, 2),
        (last[-SECTOR:], sectors - 1, 1, sectors - 33),
    ):
        checksum = struct.unpack_from("<I", header, 16)[0]
        assert checksum == zlib.crc32(header[:16] + bytes(4) + header[20:92])
        assert struct.unpack_from("<QQQQ", header, 24) == (here, other, 34, sectors - 34)
        assert struct.unpack_from("<QIII", header, 72) == (at, 128, 128, zlib.crc32(table))
    assert table[:16] == gpt.BIOS_BOOT.bytes_le
    assert struct.unpack_from("<QQ", table, 128 + 32) == (4096, 8191)
    assert table[128 + 56 :].decode("utf-16-le").startswith("two\0")
    assert table[16:32] != table[144:160], "each partition has a number of its own"


def test_grub_is_told_where_it_lies() -> None:
    sector = grub.boot_sector(2048)
    assert struct.unpack_from("<Q", sector, 0x5C)[0] == 2048
    core = grub.placed(bytes(SECTOR) + b"x" * 1000, 2048)
    assert len(core) == 3 * SECTOR
    assert struct.unpack_from("<QH", core, SECTOR - 12) == (2049, 2)


@pytest.mark.parametrize("kind", ["iso", "disk"])
def test_the_same_inputs_make_the_same_image(
    contents: image.Contents, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    image.make(kind, contents, first)
    image.make(kind, contents, second)
    assert first.read_bytes() == second.read_bytes()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    image.make(kind, contents, third)
    assert first.read_bytes() != third.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "hv.image", "second", "third"]


def test_a_disk_holds_the_files_and_grub(contents: image.Contents, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    image.make("disk", contents, disk)
    data = disk.read_bytes()
    assert len(data) % media.CYLINDER == 0
    _, _, first, last = struct.unpack_from("<16s16sQQ", data, 2 * SECTOR + 128)
    assert struct.unpack_from("<H", data, (first + 1) * SECTOR - 2)[0] == 0xAA55
    assert data[first * SECTOR + 82 : first * SECTOR + 90] == b"FAT32   "
    assert (last + 1 - first) * SECTOR >= fat.FAT32_LEAST
    drive = f"{disk}@@{first * SECTOR}"
    for name, wanted in (
        ("/boot/hv.elf", contents.hypervisor.read_bytes()),
        ("/boot/grub/grub.cfg", menu.text(ENTRIES, contents.timeout).encode()),
    ):
        out = subprocess.run(["mcopy", "-i", drive, f"::{name}", "-"], capture_output=True, check=True).stdout
        assert out == wanted
    loader = subprocess.run(["mcopy", "-i", drive, "::/EFI/BOOT/BOOTX64.EFI", "-"], capture_output=True, check=True)
    assert loader.stdout[:2] == b"MZ"
    core = first * SECTOR - media.MIB
    assert struct.unpack_from("<Q", data, core + SECTOR - 12)[0] == core // SECTOR + 1


def test_an_image_is_made_once_for_its_contents(
    contents: image.Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSTRICTOR_CACHE", str(tmp_path / "cache"))
    made = []
    monkeypatch.setitem(media.MAKERS, "iso", lambda contents, folder, out: (made.append(out), out.touch()))
    place = image.cached("iso", contents)
    assert image.cached("iso", contents) == place
    contents.hypervisor.write_bytes(b"another")
    assert image.cached("iso", contents) != place
    assert len(made) == 2


def test_a_failure_leaves_nothing_behind_and_says_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Problem, match=r"grub-mkimage .* failed:\n.*no-such-module"):
        monkeypatch.setattr(grub, "BIOS", ("no-such-module",))
        grub.image("i386-pc", "/boot/x.id", tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(Problem, match="SOURCE_DATE_EPOCH is 'yesterday': write seconds since 1970"):
        media.epoch()


def arguments(**changes: object) -> argparse.Namespace:
    known = {"config": "x86_pc", "out": None, "kind": "iso", "cmdline": "", "hypervisor": None}
    return argparse.Namespace(**known | changes)


def test_the_command_says_where_the_image_is(
    contents: image.Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = []
    monkeypatch.setattr(command, "make", lambda kind, contents, out: seen.append((kind, contents.entries, out)))
    monkeypatch.setattr(build, "build", lambda config: contents.hypervisor)
    out = tmp_path / "out.iso"
    assert image.main(arguments(out=str(out), cmdline="loglvl=all")) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert seen == [("iso", (Entry("Constrictor", "loglvl=all"), command.SELF_TESTS), out)]
    assert image.main(arguments(kind="disk")) == 0
    assert seen[1][2] == build.folder("x86_pc") / "constrictor.disk"
    with pytest.raises(Problem, match="there is no hypervisor image /nonexistent"):
        image.main(arguments(hypervisor="/nonexistent"))


def test_arm_boards_get_the_hypervisors_file(
    contents: image.Contents, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "build", lambda config: contents.hypervisor)
    assert image.main(arguments(config="arm64_virt")) == 0
    said = capsys.readouterr()
    assert said.out == f"{contents.hypervisor}\n"
    assert "no medium to make" in said.err
    with pytest.raises(Problem, match="leave --out and --cmdline out"):
        image.main(arguments(config="arm64_virt", out="x"))
