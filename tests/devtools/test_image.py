"""`./dev image`: the menu, the partition table, and that the same inputs make the same images."""

import argparse
import dataclasses
import re
import struct
import subprocess
import uuid
import zlib
from pathlib import Path
from typing import Any

import pytest

from devtools import boot, build, image
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
    known: dict[str, object] = {"config": "x86_pc", "out": None, "kind": "iso", "cmdline": "", "hypervisor": None}
    known |= {"sets": [], "default": None, "timeout": 3}
    return argparse.Namespace(**known | changes)


def test_the_command_says_where_the_image_is(
    contents: image.Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = []
    monkeypatch.setattr(command, "make", lambda kind, contents, out: seen.append((kind, contents.entries, out)))
    monkeypatch.setattr(build, "build", lambda config: contents.hypervisor)
    out = tmp_path / "out.iso"
    assert command.main(arguments(out=str(out), cmdline="loglvl=all")) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert seen == [("iso", (Entry("Constrictor", "loglvl=all"), command.SELF_TESTS), out)]
    assert command.main(arguments(kind="disk")) == 0
    assert seen[1][2] == build.folder("x86_pc") / "constrictor.disk"
    with pytest.raises(Problem, match="there is no hypervisor image /nonexistent"):
        command.main(arguments(hypervisor="/nonexistent"))


def test_arm_boards_get_the_hypervisors_file(
    contents: image.Contents, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "build", lambda config: contents.hypervisor)
    assert command.main(arguments(config="arm64_virt")) == 0
    said = capsys.readouterr()
    assert said.out == f"{contents.hypervisor}\n"
    assert "no medium to make" in said.err
    with pytest.raises(Problem, match="leave SET, --out and --cmdline out"):
        command.main(arguments(config="arm64_virt", out="x"))
    with pytest.raises(Problem, match="leave SET, --out and --cmdline out"):
        command.main(arguments(config="arm64_virt", sets=["arm64-demo"]))


DOMAIN = """
[[domain]]
name = "one"
memory = 16
cpus = 1
kernel = "kernel"
ramdisk = "ramdisk"
bootargs = "{}"
"""


def bzimage() -> bytes:
    """As much of one as says how much memory it takes (Documentation/arch/x86/boot.rst)."""
    header = bytearray(0x400)
    header[0x1FE:0x206] = b"\x55\xaa\0\0HdrS"
    struct.pack_into("<HxxxxxxxxxB", header, 0x206, 0x20F, 1)
    struct.pack_into("<QI", header, 0x258, 0x10_0000, 0x20_0000)
    return bytes(header)


@pytest.fixture
def offered(contents: image.Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[image.Contents]:
    """What is made, in place of an image; beside two partition files that name the same files."""
    made: list[image.Contents] = []
    monkeypatch.setattr(command, "make", lambda kind, contents, out: made.append(contents))
    monkeypatch.setattr(build, "build", lambda config: contents.hypervisor)
    monkeypatch.setattr(boot, "BUILD", tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kernel").write_bytes(bzimage())
    (tmp_path / "ramdisk").write_bytes(b"ramdisk" * 100)
    (tmp_path / "here.toml").write_text(DOMAIN.format("first"))
    (tmp_path / "there.toml").write_text('[hypervisor]\ncommand_line = "loglvl=all"\n' + DOMAIN.format("second"))
    return made


def test_the_menu_offers_sets_that_share_their_files(offered: list[image.Contents]) -> None:
    """Each has its own tree before the kernel and the ramdisk, which lie on the medium once."""
    assert command.main(arguments(sets=["here.toml", "./there.toml", "x86-selftest"], cmdline="com1=9600")) == 0
    (contents,) = offered
    titles = ["here", "there", "x86-selftest", "Constrictor", "Constrictor, self-tests"]
    assert [entry.title for entry in contents.entries] == titles
    lines = ["com1=9600", "loglvl=all com1=9600", "selftest=all com1=9600", "com1=9600", "selftest=all"]
    assert [entry.command_line for entry in contents.entries] == lines
    first, second, *others = [entry.modules for entry in contents.entries]
    assert others == [(), (), ()]
    assert first[0] != second[0] and first[1:] == second[1:] and len(first) == 3
    assert b"first\0" in first[0].read_bytes() and b"second\0" in second[0].read_bytes()
    loaded = re.findall(r"module2 (\S+)", contents.menu())
    assert len(loaded) == 6 and len(set(loaded)) == 4


def test_another_set_than_the_first_may_start_by_itself(offered: list[image.Contents]) -> None:
    command.main(arguments(sets=["here.toml", "there.toml"], default="there.toml", timeout=0))
    command.main(arguments(sets=["here.toml"], default="Constrictor"))
    assert [(contents.default, contents.timeout) for contents in offered] == [(1, 0), (1, 3)]
    assert "set default=1\nset timeout=0\n" in offered[0].menu()
    assert offered[0].digest() != dataclasses.replace(offered[0], default=0).digest()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sets": ["x86-selftests"]}, r"no set 'x86-selftests': write a partition file \(NAME.toml\), or one of x86"),
        ({"sets": ["arm64-demo"]}, "arm64-demo is no set for PCs: write a partition file, or one of x86"),
        ({"sets": ["arm64-bare"]}, "arm64-bare is no set for PCs"),
        ({"sets": ["arm.toml"]}, 'arm.toml is for arm64: write arch = "x86" under its \\[machine\\]'),
        ({"sets": ["broken.toml"]}, r"broken.toml:1: not valid TOML"),
        ({"sets": ["nowhere.toml"]}, "no partition file nowhere.toml"),
        ({"sets": ["no/where"]}, "no partition file no/where"),
        ({"sets": ["here.toml", "./here.toml"]}, "a set 'here' already: leave ./here.toml out"),
        ({"sets": ["wrong.toml"]}, r'wrong.toml:7: kernel: "absent" cannot be read'),
        ({"sets": ["here.toml"], "default": "there"}, "no such set, write one of here, Constrictor"),
        ({"timeout": -1}, "write seconds"),
    ],
)
def test_what_is_wrong_with_sets_is_told(offered: list[image.Contents], changes: dict[str, Any], said: str) -> None:
    Path("arm.toml").write_text("[machine]\ncpus = 4\n" + DOMAIN)
    Path("broken.toml").write_text("[machine\n")
    Path("wrong.toml").write_text("\n" + DOMAIN.replace('"kernel"', '"absent"'))
    with pytest.raises(Problem, match=said):
        command.main(arguments(**changes))
    assert not offered
