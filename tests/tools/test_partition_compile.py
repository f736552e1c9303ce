"""Compilation of right partition files: what the tree says, where the files go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import libfdt
import pytest

from tools.partition import Compiled, Load, load, read_domains

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
