"""Reading scenarios: what a variant takes from its model, and that a mistake names its line."""

from pathlib import Path

import pytest

from devtools import boot, scenario
from devtools.paths import ROOT
from devtools.report import Problem

BASE = """\
[scenario]
description = "base"
order = 1

[machine]
cpu = "cortex-a53"
cpus = 3
extra = ["-device", "virtio-rng-pci"]

[[domain]]
name = "one"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.toml").write_text(BASE)
    return tmp_path


def test_a_variant_changes_the_machine_and_keeps_the_domains(folder: Path) -> None:
    (folder / "variant.toml").write_text(
        '[scenario]\ndescription = "less"\nlike = "base"\n[machine]\ncpus = 1\n[hypervisor]\ncommand_line = "x"\n'
    )
    base, variant = scenario.every(folder)
    assert (base.name, variant.name) == ("base", "variant"), "the one with an order comes first"
    assert (variant.machine.cpus, variant.machine.cpu) == (1, "cortex-a53")
    assert variant.machine.extra == base.machine.extra == ("-device", "virtio-rng-pci")
    assert variant.partition == base.partition == folder / "base.toml"


def test_defaults_are_those_of_the_architecture(folder: Path) -> None:
    (folder / "pc.toml").write_text('[scenario]\ndescription = "x"\n[machine]\narch = "x86"\ncpus = 2\n')
    machine = scenario.load("pc", folder).machine
    assert (machine.machine, machine.cpu, machine.cpus) == ("q35", "max", 2)
    assert (machine.boot, machine.firmware, machine.emulator) == ("kernel", "bios", "qemu")


@pytest.mark.parametrize("arch", ["arm64", "x86"])
def test_a_newer_qemu_is_had_on_either_architecture(folder: Path, arch: str) -> None:
    """It has the ports of QEMU's PCs, and needs the libraries of Debian's own."""
    text = f'[scenario]\ndescription = "x"\n[machine]\narch = "{arch}"\nemulator = "newer-qemu"\n'
    (folder / "newer.toml").write_text(text + ('serial = "pci"\n' if arch == "x86" else ""))
    machine = scenario.load("newer", folder).machine
    assert (machine.emulator, machine.needs) == ("newer-qemu", (f"qemu-{arch}",))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('[machine]\ncpus = 2\n\n[scenario]\norder = "first"\n', 5, "write a number"),
        ('[scenario]\ndescription = "x"\n[machine]\ncpu = "a"\ncpsu = 2\n', 5, "unknown key 'cpsu', write one of"),
        ('[scenario]\ndescription = "x"\n[machine]\nhypervisor = 1\n', 4, "write true or false"),
        ('[scenario]\ndescription = "x"\n[machine]\ncpus = true\n', 4, "write a number"),
        ('[scenario]\ndescription = "x"\n[machine]\nmemory = 0\n', 4, "write a larger number"),
        ('[scenario]\ndescription = "x"\n[machine]\narch = "mips"\n', 4, "write one of arm64, x86"),
        ('[scenario]\ndescription = "x"\n[machine]\nboot = "iso"\n', 4, 'write "kernel"'),
        ('[scenario]\ndescription = "x"\n[machine]\narch = "x86"\nboot = "cd"\n', 5, "write one of kernel, iso, disk"),
        ('[scenario]\ndescription = "x"\n[machine]\narch = "x86"\nfirmware = "uefi"\n', 5, 'write boot = "iso"'),
        ('[scenario]\ndescription = "x"\n[machine]\nemulator = "bochs"\n', 4, 'write "qemu"'),
        ('[scenario]\ndescription = "x"\n[machine]\narch = "x86"\nemulator = "bochs"\n', 5, 'write boot = "iso"'),
        ('[scenario]\ndescription = "x"\n[machine]\nemulator = "newer"\n', 4, "write one of qemu, newer-qemu, bochs"),
        (
            '[scenario]\ndescription = "x"\n[machine]\narch = "x86"\nemulator = "bochs"\nboot = "disk"\n'
            'extra = ["-S"]\n',
            7,
            "leave them out",
        ),
        ('[scenario]\ndescription = "x"\n[machine]\nextra = [1]\n', 4, "write a list of texts"),
        ("\n[scenario]\norder = 1\n", 2, "write description ="),
        ('[scenario]\ndescription = "x"\nlike = "bad"\n', 3, "write the name of one that is not"),
        ("scenario = 1\n", 1, "write [scenario]"),
    ],
)
def test_a_mistake_names_its_line_and_what_to_write(folder: Path, text: str, line: int, words: str) -> None:
    path = folder / "bad.toml"
    path.write_text(text)
    with pytest.raises(Problem) as problem:
        scenario.load("bad", folder)
    assert str(problem.value).startswith(f"{path}:{line}: ")
    assert words in str(problem.value)


def test_a_board_has_an_image_and_a_tree_of_its_own(folder: Path) -> None:
    (folder / "board.toml").write_text('[scenario]\ndescription = "x"\n[machine]\nmachine = "xlnx-zcu102"\n')
    machine = scenario.load("board", folder).machine
    assert machine.config == "arm64_zcu102" and machine.board is not None
    assert machine.board.tree == "xilinx/zynqmp-zcu102-rev1.0.dtb"
    other = scenario.load("base", folder).machine
    assert (other.config, other.board) == ("arm64_virt", None)


def test_a_board_that_is_known_has_a_configuration() -> None:
    for board in scenario.BOARDS.values():
        assert (ROOT / "kconfig" / f"{board.config}_defconfig").is_file()


def test_an_empty_command_line_is_one(folder: Path) -> None:
    """It keeps the tree's bootargs, which are Linux' own, from being taken for the hypervisor's."""
    path = folder / "alone.toml"
    path.write_text('[hypervisor]\ncommand_line = ""\n')
    assert boot.read_partition(path).command_line == ""
    assert boot.read_partition(path, "loglvl=all").command_line == "loglvl=all"


def test_a_run_may_choose_another_firmware_where_there_is_one(folder: Path) -> None:
    chosen = scenario.load("base", folder)
    with pytest.raises(Problem, match=r"base cannot start so: firmware: only a PC's medium starts by UEFI"):
        boot.command(chosen, boot.Options(firmware="uefi"))


def test_an_unknown_scenario_names_the_known(folder: Path) -> None:
    with pytest.raises(Problem, match=r"no scenario 'bsae'; there are: base"):
        scenario.load("bsae", folder)


def test_a_variant_of_a_variant_is_refused(folder: Path) -> None:
    (folder / "b.toml").write_text('[scenario]\ndescription = "x"\nlike = "base"\n')
    (folder / "c.toml").write_text('[scenario]\ndescription = "x"\nlike = "b"\n')
    with pytest.raises(Problem, match=r"c\.toml:3: that is a variant itself"):
        scenario.load("c", folder)


def test_the_default_is_the_demonstration() -> None:
    assert scenario.every()[0].name == "arm64-demo"
