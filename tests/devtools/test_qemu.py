"""The emulator's command line and the trees that it is given."""

import dataclasses
import itertools
import struct
from pathlib import Path

import libfdt
import pytest

from devtools import debian, qemu, tree
from devtools.paths import ROOT
from devtools.scenario import Machine

PAYLOAD = qemu.Payload(Path("hv.image"), dtb=Path("x.dtb"), loads=[(0x5000_0000, Path("a,b/Image"))])


def pairs(command: list[str]) -> set[tuple[str, str]]:
    return set(itertools.pairwise(command))


def test_a_boards_machine_makes_no_sound_and_gets_the_boards_tree() -> None:
    """The tree is as Debian has it: QEMU makes none."""
    machine = Machine(machine="xlnx-zcu102", cpu="cortex-a53")
    command = qemu.command(machine, PAYLOAD)
    assert command[:2] == ["env", "QEMU_AUDIO_DRV=none"] and Path(command[2]).name == "qemu-system-aarch64"
    assert ("-machine", "xlnx-zcu102,virtualization=on") in pairs(command)
    assert not [word for word in command if "gic-version" in word]
    board = libfdt.FdtRo(qemu.base_tree(machine))
    assert board.getprop(0, "compatible").as_stringlist()[0] == "xlnx,zynqmp-zcu102-rev1.0"


def test_the_machine_of_the_demonstration() -> None:
    command = qemu.command(Machine(), PAYLOAD)
    assert Path(command[0]).name == "qemu-system-aarch64"
    assert pairs(command) >= {
        ("-machine", "virt,gic-version=3,dtb-randomness=off,virtualization=on"),
        ("-cpu", "cortex-a57"),
        ("-smp", "4"),
        ("-m", "2048"),
        ("-kernel", "hv.image"),
        ("-dtb", "x.dtb"),
        ("-serial", "stdio"),
        ("-monitor", "none"),
        ("-display", "none"),
        ("-device", "loader,file=a,,b/Image,addr=0x50000000,force-raw=on"),
    }
    assert "-icount" not in command


def test_counted_time_and_seed() -> None:
    command = qemu.command(dataclasses.replace(Machine(), cpus=1, extra=("-S",)), PAYLOAD, icount=True, seed=7)
    assert pairs(command) >= {
        ("-icount", "shift=0,sleep=off"),
        ("-rtc", "base=2026-01-01T00:00:00,clock=vm"),
        ("-seed", "7"),
        ("-smp", "1"),
    }
    assert command[-1] == "-S"


def test_a_bare_machine_starts_its_kernel_below_el2() -> None:
    machine = Machine(hypervisor=False)
    command = qemu.command(machine, qemu.Payload(Path("Image"), initrd=Path("i"), bootargs="a=b c"))
    assert pairs(command) >= {
        ("-machine", "virt,gic-version=3,dtb-randomness=off"),
        ("-append", "a=b c"),
        ("-initrd", "i"),
    }


PC = Machine(arch="x86", machine="q35", cpu="max")


def test_a_pc_takes_the_kernel_with_its_command_line() -> None:
    command = qemu.command(PC, qemu.Payload(Path("hv.image"), bootargs="selftest=all x"))
    assert Path(command[0]).name == "qemu-system-x86_64"
    assert pairs(command) >= {("-machine", "q35"), ("-kernel", "hv.image"), ("-append", "selftest=all x")}


def test_the_newer_qemu_runs_from_the_cache_with_its_own_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Firmware and modules are those that were unpacked with it, whatever of another build is installed."""
    (tmp_path / "usr" / "lib" / "any-linux-gnu" / "qemu").mkdir(parents=True)
    asked = []
    monkeypatch.setattr(debian, "backported", lambda *what: asked.append(what) or tmp_path)
    command = qemu.command(dataclasses.replace(PC, emulator="newer-qemu"), qemu.Payload(Path("hv.image")))
    root = tmp_path / "usr"
    assert command[:3] == ["env", f"QEMU_MODULE_DIR={root}/lib/any-linux-gnu/qemu", f"{root}/bin/qemu-system-x86_64"]
    assert pairs(command) >= {("-L", f"{root}/share/qemu"), ("-L", f"{root}/share/seabios"), ("-machine", "q35")}
    ((name, packages),) = asked
    assert name == "qemu-system-x86_64"
    assert {"qemu-system-x86", "qemu-system-data", "seabios"} <= set(packages)


@pytest.mark.parametrize(
    ("boot", "device", "held"), [("iso", "ide-cd", "readonly=on"), ("disk", "ide-hd", "snapshot=on")]
)
@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_a_pc_boots_a_medium_and_leaves_it_as_it_is(boot: str, device: str, held: str, firmware: str) -> None:
    machine = dataclasses.replace(PC, boot=boot, firmware=firmware)
    command = qemu.command(machine, qemu.Payload(medium=Path("a,b.img")))
    assert "-kernel" not in command
    assert ("-device", f"{device},drive=medium,bootindex=0") in pairs(command)
    (drive,) = [word for word in command if word.endswith("file=a,,b.img")]
    assert held in drive.split(",")
    assert sum("if=pflash" in word for word in command) == (2 if firmware == "uefi" else 0)


def test_the_base_tree_is_the_machines_and_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONSTRICTOR_CACHE", str(tmp_path))
    machine = Machine(cpus=3, memory=1024)
    first = qemu.base_tree(machine)
    fdt = libfdt.Fdt(first)
    memory = fdt.getprop(fdt.path_offset("/memory@40000000"), "reg")
    assert struct.unpack(">QQ", bytes(memory)) == (0x4000_0000, 1 << 30)
    fdt.path_offset("/cpus/cpu@2")
    monkeypatch.setattr(qemu.subprocess, "run", lambda *_, **__: pytest.fail("asked QEMU again"))
    assert qemu.base_tree(machine) == first
    with pytest.raises(pytest.fail.Exception, match="asked QEMU again"):
        qemu.base_tree(dataclasses.replace(machine, cpus=2))


def test_a_seed_reaches_every_guest_that_has_one() -> None:
    writer = libfdt.FdtSw()
    writer.finish_reservemap()
    with writer.add_node(""), writer.add_node("chosen"):
        for name, text in (("a", "seed=1 quiet"), ("b", "noseed=1 console=x"), ("c", "x seed=12")):
            with writer.add_node(name), writer.add_node("module"):
                writer.property_string("bootargs", text)
    dtb = writer.as_fdt()
    dtb.pack()
    for seed in (7, 10**9):
        seeded = libfdt.Fdt(tree.seeded(bytes(dtb.as_bytearray()), seed))
        found = [
            seeded.getprop(seeded.path_offset(f"/chosen/{name}/module"), "bootargs").as_str()
            for name in ("a", "b", "c")
        ]
        assert found == [f"seed={seed} quiet", "noseed=1 console=x", f"x seed={seed}"]


def test_what_is_made_is_not_tracked() -> None:
    ignored = (ROOT / ".gitignore").read_text().split()
    assert {"/.venv/", "/.cache/", "/build/"} <= set(ignored)
