"""Guests that own devices of the machine, by partial device trees."""

from pathlib import Path

import libfdt
import pytest
from console import assert_well

from devtools import boot, scenario
from devtools.machine import Machine

pytestmark = pytest.mark.arm64

SECONDS = 120
PARTIAL = 0x4F00_0000  # where the partial tree is loaded
RTC = 0x901_0000
GUESTS_RTC = 0x1001_0000
ROOM = 1 << 12
QUIET = (libfdt.NOTFOUND,)

DOMAIN = """
[[domain]]
name = "{name}"
memory = 16
cpus = 1
affinity = "{cpu}"
kernel = "guest:{kernel}"
bootargs = "{bootargs}"
vpl011 = true
"""


def cells(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "big") for value in values)


def strings(*texts: str) -> bytes:
    return b"".join(text.encode() + b"\0" for text in texts)


def partial_tree(interrupt: int = 2) -> bytes:
    """The clock, moved, with a clock of its own, as dtc writes it."""
    writer = libfdt.FdtSw(size_hint=ROOM)
    writer.finish_reservemap()
    with writer.add_node(""):
        writer.property("#address-cells", cells(2))
        writer.property("#size-cells", cells(2))
        with writer.add_node("gic"):
            writer.property("phandle", cells(1))
        with writer.add_node("aliases"):
            writer.property("rtc0", strings(f"/passthrough/pl031@{GUESTS_RTC:x}"))
        with writer.add_node("passthrough"):
            writer.property("compatible", strings("simple-bus"))
            writer.property("ranges", b"")
            writer.property("#address-cells", cells(2))
            writer.property("#size-cells", cells(2))
            with writer.add_node("apb-pclk"):
                writer.property("compatible", strings("fixed-clock"))
                writer.property("#clock-cells", cells(0))
                writer.property("clock-frequency", cells(24_000_000))
                writer.property("phandle", cells(2))
            with writer.add_node(f"pl031@{GUESTS_RTC:x}"):
                writer.property("compatible", strings("arm,pl031", "arm,primecell"))
                writer.property("reg", cells(0, GUESTS_RTC, 0, 0x1000))
                writer.property("interrupt-parent", cells(1))
                writer.property("interrupts", cells(0, interrupt, 4))
                writer.property("clocks", cells(2))
                writer.property("clock-names", strings("apb_pclk"))
                writer.property("xen,path", strings(f"/pl031@{RTC:x}"))
                writer.property("xen,reg", cells(0, RTC, 0, 0x1000, 0, GUESTS_RTC))
                writer.property("xen,force-assign-without-iommu", b"")
    tree = writer.as_fdt()
    tree.pack()
    return bytes(tree.as_bytearray())[: tree.totalsize()]


def with_devices(command: list[str], folder: Path, given: dict[str, bytes], **properties: bytes) -> list[str]:
    """The command with partial trees for domains by their names; `properties` go into the node of each such domain."""
    dtb = command.index("-dtb") + 1
    fdt = libfdt.Fdt(Path(command[dtb]).read_bytes())
    fdt.resize(fdt.totalsize() + ROOM)
    loads = []
    for number, (name, tree) in enumerate(given.items()):
        address = PARTIAL + number * 0x1_0000
        file = folder / f"{name}.dtb"
        file.write_bytes(tree)
        loads += ["-device", f"loader,file={file},addr={address:#x},force-raw=on"]
        domain = fdt.path_offset(f"/chosen/{name}")
        for key, value in properties.items():
            fdt.setprop(domain, key.replace("_", "-"), value)
        module = fdt.add_subnode(fdt.path_offset(f"/chosen/{name}"), f"module@{address:x}")
        fdt.setprop(module, "compatible", strings("multiboot,device-tree", "multiboot,module"))
        fdt.setprop(module, "reg", cells(0, address, 0, len(tree)))
    fdt.pack()
    merged = folder / "merged.dtb"
    merged.write_bytes(bytes(fdt.as_bytearray())[: fdt.totalsize()])
    return [*command[:dtb], str(merged), *command[dtb + 1 :], *loads]


@pytest.fixture
def started(tmp_path: Path, request: pytest.FixtureRequest):
    """Boots domains on a machine, some with devices."""
    machines = []

    def start(domains: str, given: dict[str, bytes], gic_version: int = 3, **properties: bytes) -> Machine:
        (tmp_path / "devices.toml").write_text(
            f'[scenario]\ndescription = "devices"\n[machine]\ngic_version = {gic_version}\n'
            f"cpus = 2\nmemory = 512\n{domains}"
        )
        command = boot.command(scenario.load("devices", tmp_path))
        machine = Machine(with_devices(command, tmp_path, given, **properties))
        machines.append(machine)
        return machine.__enter__()

    yield start
    for machine in machines:
        machine.stop()


@pytest.mark.parametrize("gic_version", [3, 2])
def test_a_guest_takes_each_interrupt_of_its_device(started, gic_version: int) -> None:
    """2,000 in a second for 10 seconds, the device's own, beside another guest on the same CPU: none is lost, none
    comes twice. Then the guest resets itself while its device interrupts, and begins anew with that interrupt.
    """
    machine = started(
        DOMAIN.format(name="rtc", cpu="1", kernel="rtc", bootargs="rate=2000 seconds=10 again=1")
        + DOMAIN.format(name="hello", cpu="1", kernel="hello", bootargs=""),
        {"rtc": partial_tree()},
        gic_version,
    )
    machine.expect("READY rtc", SECONDS)
    machine.expect("RINGS 20000 of 20000", SECONDS)
    machine.expect("(hv) d1 rtc: reset", SECONDS)
    machine.expect("AGAIN rtc", SECONDS)
    machine.expect("RINGS 20000 of 20000", SECONDS)
    machine.expect("DONE rtc ok", SECONDS)
    machine.expect("(hv) d1 rtc: powered off", SECONDS)
    assert_well(machine)


def test_what_is_wrong_with_devices_costs_its_domain_alone(started) -> None:
    """Of two domains that name one device the first gets it; a third names an interrupt that the device has not."""
    machine = started(
        DOMAIN.format(name="rtc", cpu="0", kernel="rtc", bootargs="rate=100 seconds=1 open=1")
        + DOMAIN.format(name="second", cpu="0", kernel="rtc", bootargs="")
        + DOMAIN.format(name="hello", cpu="1", kernel="hello", bootargs=""),
        {"rtc": partial_tree(), "second": partial_tree()},
        trap_unmapped_accesses=cells(0),
    )
    machine.expect_all(
        [
            f'(hv) second: property "xen,path" of pl031@{GUESTS_RTC:x} is /pl031@{RTC:x}, which rtc has already: '
            "the domain is not built",
            "OPEN rtc",
            "DONE rtc ok",
            "READY hello",
        ],
        SECONDS,
    )
    assert_well(machine)
