"""Devices of the machine in the partial trees of domains, as Xen's passthrough.txt has them, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.tools.boards import GIC, GPIO, board, cells, wide
from tools.partition import Compiled, PartitionError, load
from tools.partition.nodes import Node, read_tree

FORCE = "force_assign_without_iommu = true"
Compile = Callable[..., Compiled]


def domain(*devices: str, name: str = "a", more: str = "") -> str:
    head = f'[[domain]]\nname = "{name}"\nmemory = "64M"\ncpus = 1\nkernel = "Image"\n{more}\n'
    return head + "".join(f"[[domain.devices]]\n{device}\n" for device in devices)


def path(node: str, *more: str) -> str:
    return "\n".join([f'path = "{node}"', *more])


@pytest.fixture
def compiled(write: Callable[[str], Path], files: Path) -> Compile:
    def compile_text(text: str) -> Compiled:
        return load(write(text)).compile(board(), files.joinpath)

    return compile_text


@pytest.fixture
def partial(compiled: Compile) -> Callable[[str], Node]:
    """The /passthrough node of the only domain with devices."""

    def partial_of(text: str) -> Node:
        (made,) = (each for each in compiled(text).loads if each.content is not None)
        node = read_tree(made.content).find("/passthrough")
        assert node is not None
        return node

    return partial_of


def only(node: Node, name: str) -> Node:
    (found,) = (child for child in node.walk() if child.name.startswith(name))
    return found


def test_a_node_is_copied_with_what_is_below_it(partial: Callable[[str], Node]) -> None:
    bus = partial(domain(path("/soc/mac@10000", "clock_frequency = 125000000")))
    assert bus.properties == {
        "compatible": b"simple-bus\0",
        "ranges": b"",
        "#address-cells": cells(2),
        "#size-cells": cells(2),
    }
    mac, clock = only(bus, "mac@"), only(bus, "clock-125000000")
    assert mac.name == "mac@ff010000"
    assert mac.properties == {
        "compatible": b"acme,mac\0",
        "reg": wide(0xFF01_0000, 0x1000),
        "clocks": 2 * clock.properties["phandle"],
        "clock-names": b"a\0b\0",
        "phy-handle": cells(9),
        "interrupt-parent": cells(GIC),
        "interrupts": cells(0, 63, 4, 0, 64, 4),
        "xen,path": b"/soc/mac@10000\0",
        "xen,reg": wide(0xFF01_0000, 0x1000, 0xFF01_0000),
    }
    assert only(bus, "phy@c").properties == {"reg": cells(12), "phandle": cells(9)}
    assert clock.properties["clock-frequency"] == cells(125_000_000)
    gic = bus.parent.children[0]
    assert (gic.name, gic.cells("phandle"), gic.cells("#interrupt-cells")) == ("gic", [GIC], [3])


def test_the_domain_refers_to_its_partial_tree(compiled: Compile) -> None:
    result = compiled(domain(path("ethernet0", "clock_frequency = 0"), more="nr_spis = 80"))
    tree = read_tree(result.dtb)
    node = tree.find("/chosen/a")
    assert node is not None
    (made,) = (each for each in result.loads if each.content is not None)
    module = only(node, "device-tree@")
    assert module.strings("compatible") == ["multiboot,device-tree", "multiboot,module"]
    assert module.properties["reg"] == wide(made.address, len(made.content))
    assert (node.string("passthrough"), node.cell("nr_spis")) == ("enabled", 80)
    assert tree.find("/soc/mac@10000").properties["xen,passthrough"] == b""


def test_clocks_that_are_fixed_stay_and_others_can_be_left_out(partial: Callable[[str], Node]) -> None:
    mac = only(partial(domain(path("ethernet0", "clock_frequency = 0"))), "mac@")
    assert "clocks" not in mac.properties and "clock-names" not in mac.properties
    bus = partial(domain(path("/soc/ticker@f0000")))
    assert only(bus, "ticker@").properties["clocks"] == only(bus, "clock-24000000").properties["phandle"]


def test_a_device_elsewhere_in_the_guest(partial: Callable[[str], Node]) -> None:
    mac = only(
        partial(domain(path("ethernet0", "clock_frequency = 0", "at = 0x10000000", "interrupts = [96]"))), "mac@"
    )
    assert mac.name == "mac@10000000"
    assert mac.properties["reg"] == wide(0x1000_0000, 0x1000)
    assert mac.properties["xen,reg"] == wide(0xFF01_0000, 0x1000, 0x1000_0000)
    assert mac.properties["interrupts"] == cells(0, 64, 4)


def test_registers_in_the_midst_of_a_page(partial: Callable[[str], Node]) -> None:
    bus = partial(domain(path("/soc/small@30200", FORCE, "at = 0x10000200"), path("/soc/small@30000", FORCE)))
    moved, kept = only(bus, "small@10000200"), only(bus, "small@ff030000")
    assert moved.properties["reg"] == wide(0x1000_0200, 0x200)
    assert moved.properties["xen,reg"] == wide(0xFF03_0000, 0x1000, 0x1000_0000)
    assert kept.properties["xen,force-assign-without-iommu"] == b""


def test_references_stay_when_the_domain_has_their_node(partial: Callable[[str], Node]) -> None:
    bus = partial(domain(path("/soc/card@50000", FORCE), path("/soc/gpio@40000", FORCE)))
    card = only(bus, "card@").properties
    assert card["cd-gpios"] == cells(GPIO, 1, 0)
    assert "resets" not in card and "reset-names" not in card
    assert only(bus, "gpio@").properties["phandle"] == cells(GPIO)


def test_a_wrapper_brings_what_it_wraps(partial: Callable[[str], Node]) -> None:
    bus = partial(domain(path("/soc/wrapper@80000", FORCE)))
    core = only(bus, "core@90000")
    assert core.parent.name == "wrapper@ff080000"
    assert core.properties["xen,path"] == b"/soc/wrapper@80000/core@90000\0"
    assert core.properties["xen,reg"] == wide(0xFF09_0000, 0x1000, 0xFF09_0000)
    assert core.properties["interrupts"] == cells(0, 80, 4)


def test_a_disabled_device_is_on_in_its_guest(partial: Callable[[str], Node]) -> None:
    assert "status" not in only(partial(domain(path("/soc/off@e0000"))), "off@").properties


def test_a_pci_bus_with_its_windows_moved(partial: Callable[[str], Node]) -> None:
    pci = only(partial(domain(path("/pcie@4010000000", 'at = ["same", "none", 0x100000000]'))), "pcie@").properties
    assert pci["reg"] == wide(0x40_1000_0000, 0x1000_0000)
    assert pci["ranges"] == cells(0x0200_0000, 0, 0x1000_0000, 1, 0, 0, 0x2EFF_0000)
    assert pci["xen,reg"] == wide(
        0x40_1000_0000, 0x1000_0000, 0x40_1000_0000, 0x1000_0000, 0x2EFF_0000, 0x1_0000_0000
    )  # fmt: skip
    assert pci["interrupt-map"] == cells(0, 0, 0, 1, GIC, 0, 70, 4, 0, 0, 0, 2, GIC, 0, 71, 4)
    assert "iommu-map" not in pci and "interrupts" not in pci


def test_windows_find_a_free_place_by_themselves(compiled: Compile) -> None:
    result = compiled(domain(path("/pcie@4010000000", 'at = ["free", "none", "free"]')))
    given = result.given["a"]
    assert all(before.end <= after.start for before, after in pairwise(given))
    assert {each.size for each in given} >= {0x1000_0000, 0x2EFF_0000}


MISTAKES = [
    (
        domain(path("/soc/mac@1000")),
        {8: 'the machine\'s tree has no device "/soc/mac@1000"; did you mean "/soc/mac@10000"?'},
    ),
    (domain(path("/nowhere")), {8: 'has no device "/nowhere"; write the path of a node'}),
    (domain(path("eth0")), {8: 'no device "eth0"'}),
    (domain(path("/")), {8: "/ is no device; leave it out"}),
    (domain(path("/cpus/cpu@0")), {8: "/cpus/cpu@0 is no device"}),
    (domain(path("/gic@f9010000")), {8: "is the hypervisor's; leave it out"}),
    (domain(path("/soc")), {8: "has /soc/smmu-v3@d0000 below it, which is the hypervisor's"}),
    (domain(path("/soc/uart@0")), {8: "/soc/uart@0 is the UART that the hypervisor uses"}),
    (domain(path("/closed/far@0", FORCE)), {8: "/closed/far@0: no bus above it passes its registers on"}),
    (domain(path("/soc/gpio@40000")), {8: "/soc/gpio@40000 is behind no SMMUv3"}),
    (domain(path("/soc/old@f1000")), {8: "/soc/old@f1000 is behind no SMMUv3"}),
    (domain(path("/soc/mixed@f2000")), {8: "/soc/mixed@f2000 is behind no SMMUv3"}),
    (domain(path("/soc/gap@f6000")), {8: "/soc/gap@f6000 is behind no SMMUv3"}),
    (domain(path("/soc/lost@f3000", FORCE)), {8: '/soc/lost@f3000: its "iommus" cannot be read from cell 2 on'}),
    (domain(path("/soc/short@f4000", FORCE)), {8: '/soc/short@f4000: its "iommus" cannot be read from cell 0 on'}),
    (domain(path("/soc/row@f5000", FORCE)), {8: '/soc/row@f5000: its "iommu-map" cannot be read from cell 0 on'}),
    (
        domain(path("/soc/ticker@f0000")) + domain(path("ethernet0", "clock_frequency = 0"), name="b"),
        {16: "/soc/mac@10000 has the stream 0x7 in common with /soc/ticker@f0000; give both to one domain"},
    ),
    (
        domain(path("/soc/masked@f7000")) + domain(path("/soc/gap@f6000", FORCE), name="b"),
        {16: "/soc/gap@f6000 has the stream 0x10 in common with /soc/masked@f7000; give both to one domain"},
    ),
    (
        domain(path("ethernet0")),
        {8: "/soc/mac@10000 has a clock of /soc/crg@70000, which stays with the hypervisor; write clock_frequency"},
    ),
    (
        domain(path("/soc/card@50000", FORCE)),
        {8: '"cd-gpios" refers to /soc/gpio@40000, which domain "a" does not have; give it that device as well, or'},
    ),
    (
        domain(path("/soc/odd@60000", FORCE), more="vpl011 = false"),
        {8: '"vdd-supply" refers to a node that the tree does not have, which domain "a" does not have; write drop'},
    ),
    (
        domain(path("/soc/odd@60000", FORCE, 'drop = ["vdd-supply"]')),
        {8: "has the interrupt 32, as the domain's emulated UART; write vpl011 = false"},
    ),
    (domain(path("/soc/nested@b0000", FORCE)), {8: "its interrupts go to /soc/gpio@40000; leave it out"}),
    (domain(path("/soc/private@c0000", FORCE)), {8: "one of its interrupts is a CPU's own"}),
    (
        domain(path("ethernet0", "clock_frequency = 0", "interrupts = [95, 97]")),
        {10: "interrupts: /soc/mac@10000 has no interrupt 97; it has 95, 96"},
    ),
    (
        domain(path("ethernet0", "clock_frequency = 0"), more="nr_spis = 64"),
        {6: "nr_spis: /soc/mac@10000 has the interrupt 96; write at least 65"},
    ),
    (
        domain(path("/soc/gpio@40000", FORCE), path("/soc/gpio@40000", FORCE)),
        {11: '/soc/gpio@40000 already belongs to domain "a" (line 8)'},
    ),
    (
        domain(path("/soc/gpio@40000", FORCE)) + domain(path("/soc/gpio@40000", FORCE), name="b"),
        {17: '/soc/gpio@40000 already belongs to domain "a" (line 8)'},
    ),
    (
        domain(path("/soc/wrapper@80000", FORCE)) + domain(path("/soc/wrapper@80000/core@90000", FORCE), name="b"),
        {17: "/soc/wrapper@80000/core@90000 belongs to /soc/wrapper@80000, which line 8 gives as well"},
    ),
    (
        domain(path("/soc/small@30000", FORCE)) + domain(path("/soc/small@30200", FORCE), name="b"),
        {17: '/soc/small@30200 is in one page with /soc/small@30000 of domain "a"'},
    ),
    (
        domain(path("ethernet0", "clock_frequency = 0")) + domain(path("/soc/twin@a0000", FORCE), name="b"),
        {17: "/soc/twin@a0000 has the interrupt 95 in common with /soc/mac@10000; give both to one domain"},
    ),
    (
        domain(path("/soc/gpio@40000", FORCE, "at = 0x10000004")),
        {10: "at: 0x10000004 and 0xff040000, where the machine has it, lie differently in their pages of 4K"},
    ),
    (
        domain(path("/soc/gpio@40000", FORCE, "at = 0x43000000")),
        {10: "/soc/gpio@40000 at 0x43000000 of its guest overlaps its memory (0x40000000-0x44000000); write 0x8000000"},
    ),
    (
        domain(path("/soc/gpio@40000", FORCE), path("/soc/crg@70000", FORCE, "at = 0xff040000")),
        {13: "/soc/crg@70000 at 0xff040000 of its guest overlaps another of its devices"},
    ),
    (
        domain(path("/soc/gpio@40000", FORCE, "at = [0x8000000, 0x9000000]")),
        {10: "at: /soc/gpio@40000 has 1 ranges of addresses (0xff040000-0xff041000), and here are 2 places"},
    ),
    (
        domain(path("/soc/wrapper@80000", FORCE, "at = 0x8000000")),
        {10: "at: /soc/wrapper@80000 has devices below it that cannot be moved with it"},
    ),
    (
        domain(path("/pcie@4010000000")),
        {8: "/pcie@4010000000's window at 0x10000000, as in the machine, overlaps Xen's grant table"},
    ),
]


@pytest.mark.parametrize(("text", "expected"), MISTAKES)
def test_devices_that_cannot_be_given(compiled: Compile, text: str, expected: dict[int, str]) -> None:
    with pytest.raises(PartitionError) as caught:
        compiled(text)
    found = {mistake.line: f"{mistake.what}; {mistake.instead}" for mistake in caught.value.mistakes}
    assert found.keys() == expected.keys(), caught.value
    for line, words in expected.items():
        assert words in found[line]


VALUES = [
    ("devices = 1", "devices: 1 is no list of tables; write [[domain.devices]]"),
    ("devices = [1]", "1 is not a table; write { path = ... } or a path"),
    ("devices = [{}]", "this device has no path; write path = "),
    ('devices = [{ path = "" }]', 'path: "" is no path of a node'),
    ('devices = [{ path = "/a", at = "here" }]', 'at: "here" is no place; write an address, or one of "same"'),
    ('devices = [{ path = "/a", at = [] }]', "at: the array is empty"),
    ('devices = [{ path = "/a", at = -1 }]', "at: -1 is not a physical address; write 0x0"),
    ('devices = [{ path = "/a", interrupts = 5 }]', "interrupts: 5 is no list of interrupts"),
    ('devices = [{ path = "/a", interrupts = [31] }]', "31 is no shared peripheral interrupt; write its INTID"),
    ('devices = [{ path = "/a", interrupts = [40, 40] }]', "40 is there twice"),
    ('devices = [{ path = "/a", clock_frequency = -1 }]', "clock_frequency: -1 is no frequency"),
    ('devices = [{ path = "/a", drop = "x" }]', 'drop: "x" is no list of names'),
    ('devices = [{ path = "/a", iommu = true }]', 'unknown key "iommu"; known here: path, at'),
    ("nr_spis = 989", "nr_spis: 989 is no number of interrupts"),
    ("trap_unmapped_accesses = 0", "trap_unmapped_accesses: 0 is neither true nor false"),
    ("llc_colors = 3", "llc_colors: 3 is no list of colours"),
    ('llc_colors = "3-"', 'llc_colors: "3-" is no list of colours'),
    ('llc_colors = "0-128"', "no machine has a colour 128"),
    ('llc_colors = "15-16"', 'llc_colors: the last cache has no colour 16; use its colours "0-15"'),
    ('on_watchdog = "bark"', 'on_watchdog: "bark" is no way to go on'),
]


@pytest.mark.parametrize(("key", "message"), VALUES)
def test_values_of_keys(compiled: Compile, key: str, message: str) -> None:
    with pytest.raises(PartitionError) as caught:
        compiled(domain(more=key))
    (mistake,) = caught.value.mistakes
    assert mistake.line == 6
    assert message in f"{mistake.what}; {mistake.instead}"


def test_a_gicv2_has_eight_cpus_at_most(compiled: Compile) -> None:
    with pytest.raises(
        PartitionError, match="cpus: this machine has a GICv2, whose guests have at most 8; write cpus = 8"
    ):
        compiled(domain().replace("cpus = 1", "cpus = 9"))
    compiled(domain().replace("cpus = 1", "cpus = 8"))


def test_what_the_domain_node_says_besides(compiled: Compile) -> None:
    more = 'llc_colors = "0-3,8"\ntrap_unmapped_accesses = false\non_watchdog = "destroy"'
    node = read_tree(compiled(domain(more=more)).dtb).find("/chosen/a")
    assert node is not None
    assert node.string("llc-colors") == "0-3,8"
    assert node.properties["trap-unmapped-accesses"] == cells(0)
    assert node.string("on-watchdog") == "destroy"
    assert "passthrough" not in node.properties and "nr_spis" not in node.properties


def test_lines_of_the_file_cover_what_the_domain_has(compiled: Compile) -> None:
    """Rows of address, size, and line, ascending, for the hypervisor to name in a fault."""
    text = domain(path("/soc/gpio@40000", FORCE, "at = 0x30000000"))
    node = read_tree(compiled(text).dtb).find("/chosen/a")
    assert node is not None
    assert node.string("constrictor,file") == "machine.toml"
    assert node.entries("constrictor,lines", 2, 2, 1) == [
        (0x2200_0000, 0x1000, 1),
        (0x3000_0000, 0x1000, 8),
        (0x4000_0000, 64 << 20, 3),
    ]
