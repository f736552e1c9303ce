"""What a node says of its interrupts, by `interrupts` and by `interrupts-extended`."""

from __future__ import annotations

import pytest

from tests.common.guests import TREE, VCPUS, Machine, Node, flat, strings, u32
from tests.common.host import EINVAL

READ = "hv.arm64.interrupts.interrupt_of"
TIMER = "hv.arm64.timer_node."
LEVEL, EDGE = 0, 1
GIC, OTHER, SILENT, NOBODY = 1, 2, 3, 4


def cells(*numbers: int) -> bytes:
    return b"".join(map(u32, numbers))


def machine_with(node: Node) -> Machine:
    controllers = [
        Node("gic", {"phandle": u32(GIC), "#interrupt-cells": u32(3)}),
        Node("gpio", {"phandle": u32(OTHER), "#interrupt-cells": u32(2)}),
        Node("silent", {"phandle": u32(SILENT)}),
    ]
    machine = Machine(1)
    blob = flat(Node("", {}, [node, *controllers]))
    machine.put(TREE, blob)
    machine.call(f"{VCPUS}load_tree", TREE, len(blob))
    return machine


def device(**properties: bytes) -> Machine:
    return machine_with(Node("device", {name.replace("_", "-"): value for name, value in properties.items()}))


def read(machine: Machine, index: int) -> tuple[int, int] | int:
    """Number and trigger, or the errno."""
    tree = machine.host.variable("hv.common.drivers.devicetree.tree")
    node = machine.call("hv.common.lib.fdt.Fdt.find", tree, "/device")
    code = machine.host.errno(READ, node, index)
    if code:
        return code
    spec = machine.call(READ, node, index)
    return spec.intid, spec.trigger


@pytest.mark.parametrize(
    ("index", "found"), [(0, (32 + 21, LEVEL)), (1, (16 + 11, EDGE)), (2, EINVAL), (3, EINVAL), (2**32 - 1, EINVAL)]
)
def test_interrupts(index, found):
    """A PPI beyond the last, and one that is not there."""
    assert read(device(interrupts=cells(0, 21, 4, 1, 11, 1, 1, 16, 4)), index) == found


@pytest.mark.parametrize(
    ("index", "found"),
    [(0, (16 + 13, LEVEL)), (1, EINVAL), (2, (32 + 987, LEVEL)), (3, EINVAL), (4, EINVAL), (2**32 - 1, EINVAL)],
)
def test_interrupts_of_several_controllers(index, found):
    extended = cells(GIC, 1, 13, 0xF08, OTHER, 7, 1, GIC, 0, 987, 4, GIC, 0, 988, 4)
    assert read(device(interrupts_extended=extended), index) == found


def test_the_extended_ones_win():
    machine = device(interrupts=cells(0, 21, 4), interrupts_extended=cells(GIC, 0, 22, 4))
    assert read(machine, 0) == (54, LEVEL)


@pytest.mark.parametrize(
    "extended", [b"", cells(GIC), cells(GIC, 0, 1), cells(SILENT, 0, 1, 4), cells(NOBODY, 0, 1, 4)]
)
@pytest.mark.parametrize("index", [0, 1])
def test_malformed(extended, index):
    assert read(device(interrupts_extended=extended), index) == EINVAL


@pytest.mark.parametrize("names", [(), ("sec-phys", "phys", "virt", "hyp-phys"), ("hyp-phys", "virt", "phys")])
@pytest.mark.parametrize("extended", [False, True])
def test_the_timers_interrupts(names, extended):
    numbers = [9, 8, 7, 6] if names != ("hyp-phys", "virt", "phys") else [6, 7, 8]
    own = {"interrupt-names": strings(*names)} if names else {}
    if extended:
        own["interrupts-extended"] = b"".join(cells(GIC, 1, n, 0xF08) for n in numbers)
    else:
        own["interrupts"] = b"".join(cells(1, n, 0xF08) for n in numbers)
    machine = machine_with(Node("timer", {"compatible": strings("arm,armv8-timer"), **own}))
    node = machine.host.variable(f"{TIMER}timer_node")
    machine.call(f"{TIMER}TimerNode.init", node)
    assert (node.virtual, node.hypervisor) == (16 + 7, 16 + 6)
