"""The tree that a guest finds, read with libfdt: its place, its nodes, and what Linux's bindings ask of them."""

import struct

import libfdt
import pytest

from tests.common.guests import (
    MODULES,
    VCPUS,
    Machine,
    domain_node,
    flat,
    kernel_image,
    machine_tree,
    module,
    pattern,
    strings,
)

NOTHING, DEVICE = 0, 3
QUIET = (libfdt.FDT_ERR_NOTFOUND,)
RAMDISK = MODULES + 0x10_0000
RAMDISK_SIZE = 0x3001
GICV = 0x0806_0000


def built(cpus=2, memory=4096, bootargs="console=ttyAMA0 root=/dev/ram", disk=True, uart=True, gicv2=False):
    machine = Machine(1)
    machine.host.variable("hv.arm64.guest_map.machine").gicv2 = gicv2
    machine.host.variable("hv.arm64.gicv2.gicv2").virtual = GICV
    machine.put(MODULES, kernel_image(0x8000))
    machine.put(RAMDISK, pattern(RAMDISK_SIZE, 5))
    more = {"vpl011": b""} if uart else {}
    arguments = {"bootargs": strings(bootargs)} if bootargs is not None else {}
    modules = [module("kernel", MODULES, 0x8000, **arguments)]
    modules += [module("ramdisk", RAMDISK, RAMDISK_SIZE)] if disk else []
    assert machine.boot(flat(machine_tree([domain_node("g", modules, memory, cpus, **more)], 1))) == []
    domain = machine.domain(1)
    vcpu = machine.vcpus(domain)[0]
    at = machine.call(f"{VCPUS}argument_of", vcpu)
    assert at % 8 == 0
    size = struct.unpack(">I", machine.guest_bytes(domain, at + 4, 4))[0]
    return machine, domain, libfdt.Fdt(bytearray(machine.guest_bytes(domain, at, size)))


def cells(fdt, path, name):
    data = bytes(fdt.getprop(fdt.path_offset(path), name))
    return [x for (x,) in struct.iter_unpack(">I", data)]


def wide(fdt, path, name):
    data = bytes(fdt.getprop(fdt.path_offset(path), name))
    return [x for (x,) in struct.iter_unpack(">Q", data)]


def texts(fdt, path, name):
    return bytes(fdt.getprop(fdt.path_offset(path), name)).decode().removesuffix("\0").split("\0")


def test_what_every_guest_finds():
    _, _, fdt = built()
    assert texts(fdt, "/", "compatible")[-1] == "xen,xenvm" and texts(fdt, "/", "model") == ["Constrictor guest"]
    assert wide(fdt, "/memory@40000000", "reg") == [0x4000_0000, 4 << 20]
    assert texts(fdt, "/memory", "device_type") == ["memory"]
    assert texts(fdt, "/psci", "compatible") == ["arm,psci-1.0", "arm,psci-0.2"]
    assert texts(fdt, "/psci", "method") == ["hvc"]
    gic = "/interrupt-controller@3001000"
    assert texts(fdt, gic, "compatible") == ["arm,gic-v3"]
    assert wide(fdt, gic, "reg") == [0x300_1000, 0x1_0000, 0x302_0000, 0x100_0000]
    assert cells(fdt, gic, "#interrupt-cells") == [3] and cells(fdt, gic, "phandle") == [1]
    assert cells(fdt, gic, "#address-cells") == [0]
    assert texts(fdt, "/timer", "compatible") == ["arm,armv8-timer"]
    assert cells(fdt, "/timer", "interrupts") == [1, 13, 4, 1, 14, 4, 1, 11, 4]
    assert fdt.hasprop(fdt.path_offset("/timer"), "always-on")
    uart = "/sbsa-uart@22000000"
    assert texts(fdt, uart, "compatible") == ["arm,sbsa-uart"]
    assert wide(fdt, uart, "reg") == [0x2200_0000, 0x1000]
    assert cells(fdt, uart, "interrupts") == [0, 0, 4]
    assert cells(fdt, uart, "current-speed") == [115200]
    for node in ("/timer", uart):
        assert cells(fdt, node, "interrupt-parent") == [1]
    name = texts(fdt, "/chosen", "stdout-path")[0]
    assert texts(fdt, "/aliases", name) == [uart]


@pytest.mark.parametrize("cpus", [1, 2, 8])
def test_what_a_guest_with_a_gicv2_finds(cpus):
    """The controller, the vCPUs that each private interrupt has, and the machine's virtual CPU interface in place."""
    machine, domain, fdt = built(cpus=cpus, gicv2=True)
    gic = "/interrupt-controller@3001000"
    assert texts(fdt, gic, "compatible") == ["arm,gic-400"]
    assert wide(fdt, gic, "reg") == [0x300_1000, 0x1000, 0x300_2000, 0x2000]
    assert cells(fdt, gic, "#interrupt-cells") == [3] and cells(fdt, gic, "phandle") == [1]
    assert cells(fdt, gic, "#address-cells") == [0]
    flags = (1 << cpus) - 1 << 8 | 4
    assert cells(fdt, "/timer", "interrupts") == [1, 13, flags, 1, 14, flags, 1, 11, flags]
    assert cells(fdt, "/sbsa-uart@22000000", "interrupts") == [0, 0, 4]
    distributor, interface, deactivation = (
        machine.call("hv.common.mm.p2m.P2m.lookup", machine.p2m(domain), gfn) for gfn in (0x3001, 0x3002, 0x3003)
    )
    assert (interface.kind, interface.mfn, interface.order) == (DEVICE, GICV >> 12, 0)
    assert distributor.kind == deactivation.kind == NOTHING


def test_command_line_and_ramdisk():
    machine, domain, fdt = built(bootargs="a=1, b='ü'")
    assert texts(fdt, "/chosen", "bootargs") == ["a=1, b='ü'"]
    (start,) = wide(fdt, "/chosen", "linux,initrd-start")
    (end,) = wide(fdt, "/chosen", "linux,initrd-end")
    assert end - start == RAMDISK_SIZE
    assert machine.guest_bytes(domain, start, RAMDISK_SIZE) == pattern(RAMDISK_SIZE, 5)


def test_what_a_guest_does_not_have():
    _, _, fdt = built(bootargs=None, disk=False, uart=False)
    chosen = fdt.path_offset("/chosen")
    for name in ("bootargs", "linux,initrd-start", "linux,initrd-end", "stdout-path"):
        assert fdt.hasprop(chosen, name) == 0
    for path in ("/sbsa-uart@22000000", "/aliases"):
        assert fdt.path_offset(path, QUIET) == -libfdt.FDT_ERR_NOTFOUND


@pytest.mark.parametrize("count", [1, 2, 16, 17, 128])
def test_cpus_and_their_places(count):
    _, _, fdt = built(cpus=count)
    assert (cells(fdt, "/cpus", "#address-cells"), cells(fdt, "/cpus", "#size-cells")) == ([1], [0])
    node, found = fdt.first_subnode(fdt.path_offset("/cpus"), QUIET), []
    while node >= 0:
        path = f"/cpus/{fdt.get_name(node)}"
        assert texts(fdt, path, "enable-method") == ["psci"] and texts(fdt, path, "device_type") == ["cpu"]
        (affinity,) = cells(fdt, path, "reg")
        assert path == f"/cpus/cpu@{affinity:x}"
        found.append(affinity)
        node = fdt.next_subnode(node, QUIET)
    assert found == [i // 16 << 8 | i % 16 for i in range(count)]


def test_the_longest_command_line_and_all_cpus_fit():
    _, _, fdt = built(cpus=128, bootargs="x" * 2047)
    assert texts(fdt, "/chosen", "bootargs") == ["x" * 2047]


@pytest.mark.parametrize(
    ("frames", "banks"),
    [
        (1, [0x4000_0000, 0x1000]),
        (0xC_0000, [0x4000_0000, 0xC000_0000]),
        (0xC_0001, [0x4000_0000, 0xC000_0000, 0x2_0000_0000, 0x1000]),
        (0xC_0000 + 0xFE0_0000, [0x4000_0000, 0xC000_0000, 0x2_0000_0000, 0xFE_0000_0000]),
    ],
)
def test_two_banks(frames, banks):
    """More memory than the simulated machine has is only written into the tree."""
    machine = Machine(1)
    description = machine.host.library.new("hv.common.builder.description.Description")
    description.frames = frames
    description.vcpus = 1
    writer = machine.host.library.new("hv.common.lib.fdt_writer.FdtWriter")
    view = machine.host.bytes(b"", 8192)
    machine.call("lib.fdt_writer.FdtWriter.init", writer, view[0])
    placement = machine.ffi.new("common_builder_loader_Placement *")
    machine.call("builder.guest_tree.write_tree", writer, description, placement[0])
    fdt = libfdt.Fdt(bytearray(machine.host.contents(view)))
    assert wide(fdt, "/memory", "reg") == banks
