"""Compilation of right partition files: what the tree says, where the files go."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import libfdt
import pytest

from tools.partition import Compiled, Load, PartitionError, load, read_domains

MIB = 1 << 20
GIB = 1 << 30

TWO_DOMAINS = """
[scenario]
summary = "belongs to somebody else"

[hypervisor]
command_line = "console=dtuart sched=null"

[[domain]]
name = "linux1"
memory = "256M"
cpus = 2
kernel = "Image"
ramdisk = "initrd"
bootargs = "console=ttyAMA0 quiet"
affinity = ["0-1", "3"]

[[domain]]
name = "uni"
memory = 16
cpus = 2
kernel = "unikernel"
vpl011 = false
affinity = "1,0"
"""

Compile = Callable[..., Compiled]


@pytest.fixture
def compiled(write: Callable[[str], Path], files: Path, tree: Callable[..., bytes]) -> Compile:
    def compile_text(text: str, **machine: object) -> Compiled:
        return load(write(text)).compile(tree(**machine), lambda name: files / name)

    return compile_text


def test_nodes_follow_the_bindings(compiled: Compile) -> None:
    fdt = libfdt.Fdt(bytearray(compiled(TWO_DOMAINS).dtb))
    node = fdt.path_offset("/chosen/linux1")
    assert fdt.getprop(node, "compatible").as_str() == "xen,domain"
    assert fdt.getprop(node, "memory").as_uint64() == 256 << 10  # KiB
    assert fdt.getprop(node, "cpus").as_uint32() == 2
    assert fdt.getprop(node, "#address-cells").as_uint32() == 2
    assert fdt.getprop(node, "#size-cells").as_uint32() == 2
    assert bytes(fdt.getprop(node, "vpl011")) == b""
    kernel = fdt.subnode_offset(node, "kernel@50000000")
    assert fdt.getprop(kernel, "compatible").as_stringlist() == ["multiboot,kernel", "multiboot,module"]
    assert fdt.getprop(kernel, "reg").as_uint64_list() == [0x5000_0000, 4096]
    assert fdt.getprop(kernel, "bootargs").as_str() == "console=ttyAMA0 quiet"
    ramdisk = fdt.subnode_offset(node, "ramdisk@50200000")
    assert fdt.getprop(ramdisk, "compatible").as_stringlist() == ["multiboot,ramdisk", "multiboot,module"]
    assert fdt.getprop(ramdisk, "reg").as_uint64_list() == [0x5020_0000, 6]
    vcpu = fdt.subnode_offset(node, "vcpu1")
    assert fdt.getprop(vcpu, "compatible").as_str() == "xen,vcpu"
    assert fdt.getprop(vcpu, "id").as_uint32() == 1
    assert fdt.getprop(vcpu, "hard-affinity").as_str() == "3"
    unikernel = fdt.path_offset("/chosen/uni")
    assert not fdt.hasprop(unikernel, "vpl011")
    assert fdt.getprop(fdt.subnode_offset(unikernel, "vcpu1"), "hard-affinity").as_str() == "0-1"
    assert not fdt.hasprop(fdt.subnode_offset(unikernel, "kernel@50400000"), "bootargs")


def test_what_chosen_had_stays(compiled: Compile) -> None:
    dtb = compiled(TWO_DOMAINS, chosen=["other"]).dtb
    fdt = libfdt.Fdt(bytearray(dtb))
    chosen = fdt.path_offset("/chosen")
    assert fdt.getprop(chosen, "stdout-path").as_str() == "/pl011@9000000"
    assert fdt.getprop(chosen, "xen,xen-bootargs").as_str() == "console=dtuart sched=null"
    assert fdt.path_offset("/chosen/other") > 0
    assert [domain.name for domain in read_domains(dtb)] == ["linux1", "uni"]


def test_chosen_is_made_when_missing(compiled: Compile) -> None:
    assert [domain.name for domain in read_domains(compiled(TWO_DOMAINS, chosen=None).dtb)] == ["linux1", "uni"]


def test_loads_name_address_path_and_size(compiled: Compile, files: Path) -> None:
    assert compiled(TWO_DOMAINS).loads == [
        Load(0x5000_0000, files / "Image", 4096),
        Load(0x5020_0000, files / "initrd", 6),
        Load(0x5040_0000, files / "unikernel", 3 * MIB),
    ]


def test_a_file_is_loaded_once(compiled: Compile, files: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(files / "Image")
    result = compiled(TWO_DOMAINS.replace('"unikernel"', f'"{tmp_path / "alias"}"'))
    assert [load.path for load in result.loads] == [files / "Image", files / "initrd"]
    assert [domain.kernel.address for domain in read_domains(result.dtb)] == [0x5000_0000, 0x5000_0000]


def test_every_domain_has_a_uart_unless_it_says_no(compiled: Compile) -> None:
    text = TWO_DOMAINS.replace("vpl011 = false", "")
    assert [domain.vpl011 for domain in read_domains(compiled(text).dtb)] == [True, True]


def test_spellings_of_memory(compiled: Compile) -> None:
    for spelling, kib in (('"1G"', 1 << 20), ('"262144K"', 256 << 10), ('"256M"', 256 << 10), ("256", 256 << 10)):
        text = TWO_DOMAINS.replace('"256M"', spelling)
        assert read_domains(compiled(text).dtb)[0].memory == kib


def test_foreign_tables_may_hold_anything(compiled: Compile) -> None:
    text = TWO_DOMAINS + "[machine]\ncpus = 'many'\n[machine.more]\nx = 1\n"
    assert len(read_domains(compiled(text).dtb)) == 2


@pytest.mark.parametrize(
    ("memory", "base"),
    [
        ([(0x4000_0000, 4 * GIB)], 0x5000_0000),
        ([(0x4000_0000, 512 * MIB)], 0x4820_0000),
        ([(0x4000_0000, 512 * MIB + 2 * MIB)], 0x5000_0000),
        ([(0x4000_0000, 128 * MIB), (0x4800_0000, 1920 * MIB)], 0x5000_0000),  # NUMA nodes side by side
        ([(0x8_0000_0000, 2 * GIB), (0x0, 2032 * MIB)], 0x1000_0000),  # zcu102's banks
    ],
)
def test_load_base_unless_given(compiled: Compile, memory: list[tuple[int, int]], base: int) -> None:
    assert compiled(TWO_DOMAINS, memory=memory).loads[0].address == base


def test_given_load_base_may_lie_in_any_bank(compiled: Compile) -> None:
    banks = [(0, 2032 * MIB), (0x8_0000_0000, 2 * GIB)]
    text = TWO_DOMAINS + "[layout]\nload_base = 0x8_0000_0000\n"
    assert compiled(text, memory=banks).loads[0].address == 0x8_0000_0000


def test_files_pass_by_reserved_memory(compiled: Compile) -> None:
    result = compiled(TWO_DOMAINS, reserved=[(0x5020_1000, 0x1000)], memreserve=[(0x5060_0000, 1)])
    assert [load.address for load in result.loads] == [0x5000_0000, 0x5040_0000, 0x5080_0000]


@pytest.mark.parametrize(
    ("base", "memory", "what"),
    [
        (0x3FE0_0000, 2 * GIB, "load_base 0x3fe00000 is outside the machine's memory"),
        (0xC000_0000, 2 * GIB, "load_base 0xc0000000 is outside the machine's memory"),
        (0x4000_0000, 2 * GIB, "load_base 0x40000000 is where the hypervisor's image lies"),
        (0x4800_0000, 2 * GIB, "load_base 0x48000000 is where the device tree lies"),
        (0x4400_0000, 128 * MIB, "load_base 0x44000000 is where the device tree lies"),
        (0x6000_0000, 2 * GIB, "load_base 0x60000000 is where reserved memory lies"),
    ],
)
def test_load_base_that_cannot_be(compiled: Compile, base: int, memory: int, what: str) -> None:
    text = TWO_DOMAINS.replace("256M", "32M") + f"[layout]\nload_base = {base:#x}\n"
    with pytest.raises(PartitionError) as caught:
        compiled(text, memory=[(0x4000_0000, memory)], reserved=[(0x6000_0000, MIB)])
    (mistake,) = caught.value.mistakes
    assert mistake.line == text.count("\n")
    assert mistake.what.startswith(what)
    assert "0x4" in mistake.instead or "0x5" in mistake.instead


def test_files_end_where_the_bank_ends(compiled: Compile) -> None:
    text = TWO_DOMAINS.replace('"initrd"', '"initrd2"') + "[layout]\nload_base = 0xbf800000\n"
    fitting = text.replace('"unikernel"', '"Image"')
    assert compiled(fitting).loads[-1].address == 0xBFA0_0000
    with pytest.raises(PartitionError) as caught:
        compiled(text.replace("0xbf800000", "0xbfa00000"))
    (mistake,) = caught.value.mistakes
    assert mistake.line == text.split("\n").index('kernel = "unikernel"') + 1
    assert (
        mistake.what == '"unikernel" (4M) does not fit between 0xbfe00000 and the end of the memory bank at 0xc0000000'
    )


def test_longest_values(compiled: Compile) -> None:
    """More than libfdt's buffer starts with: the tree has to grow while it is edited."""
    domains = [
        f'[[domain]]\nname = "guest-{n:09}"\nmemory = 8\ncpus = 128\nkernel = "Image"\nbootargs = "{"x" * 2047}"\n'
        'affinity = "0,2,4,6,8-15"\n'
        for n in range(40)
    ]
    result = read_domains(compiled("".join(domains), cpus=16).dtb)
    assert [domain.name for domain in result] == [f"guest-{n:09}" for n in range(40)]
    assert {domain.kernel.bootargs for domain in result} == {"x" * 2047}
    assert {len(domain.affinity) for domain in result} == {128}


def dtc(dtb: bytes) -> subprocess.CompletedProcess[bytes]:
    words = ["dtc", "-I", "dtb", "-O", "dts", "-"]
    return subprocess.run(words, input=dtb, capture_output=True, timeout=30, check=False)


def test_dtc_has_nothing_to_say_about_the_nodes(compiled: Compile) -> None:
    done = dtc(compiled(TWO_DOMAINS).dtb)
    assert done.returncode == 0
    assert b"/chosen" not in done.stderr
    assert b'compatible = "multiboot,kernel\\0multiboot,module";' in done.stdout


def test_merges_into_the_tree_that_qemu_makes(write: Callable[[str], Path], files: Path, tmp_path: Path) -> None:
    base = tmp_path / "virt.dtb"
    machine = f"virt,virtualization=on,gic-version=3,dumpdtb={base}"
    words = [
        "qemu-system-aarch64",
        "-M",
        machine,
        "-cpu",
        "cortex-a57",
        "-smp",
        "4",
        "-m",
        "2G",
        "-nodefaults",
        "-display",
        "none",
    ]
    subprocess.run(words, capture_output=True, timeout=60, check=True)
    result = load(write(TWO_DOMAINS)).compile(base.read_bytes(), files.joinpath)
    assert result.loads[0].address == 0x5000_0000
    assert [domain.name for domain in read_domains(result.dtb)] == ["linux1", "uni"]
    before, after = (dtc(dtb).stdout.decode().split("\tchosen {")[0] for dtb in (base.read_bytes(), result.dtb))
    assert before == after
    assert len(result.dtb) < 64 << 10  # QEMU's own has a megabyte of room


def test_a_file_may_describe_the_hypervisor_alone(compiled: Compile) -> None:
    alone = compiled('[hypervisor]\ncommand_line = "selftest=all"\n')
    fdt = libfdt.Fdt(bytearray(alone.dtb))
    assert fdt.getprop(fdt.path_offset("/chosen"), "xen,xen-bootargs").as_str() == "selftest=all"
    assert (read_domains(alone.dtb), alone.loads) == ([], [])
