"""What the machine's tree says: its console, the hypervisor's command line, memory and what of it is taken."""

import pytest

from tests.common.guests import MEMORY, RAM_BASE, TREE, VCPUS, Machine, Node, flat, strings, u32, u64
from tests.common.host import EINVAL, ENOENT

DEVICETREE = "hv.common.drivers.devicetree."
MIB = 0x10_0000


def machine_with(*children: Node, reserved: list[tuple[int, int]] | None = None) -> Machine:
    machine = Machine()
    root = Node("", {"#address-cells": u32(2), "#size-cells": u32(2)}, list(children))
    blob = flat(root, reserved or [])
    machine.put(TREE, blob)
    machine.call(f"{VCPUS}load_tree", TREE, len(blob))
    return machine


def uart(name: str = "pl011@9000000") -> Node:
    return Node(name, {"compatible": strings("arm,pl011"), "reg": u64(0x900_0000) + u64(0x1000)})


def chosen(**properties: bytes) -> Node:
    return Node("chosen", {name.replace("_", "-"): value for name, value in properties.items()})


def console_of(machine: Machine) -> str:
    node = machine.host.ffi.new("common_lib_fdt_Node *", machine.call(f"{DEVICETREE}console_node"))
    return machine.host.call("lib.fdt.Node.name", node)


@pytest.mark.parametrize(
    "path", ["/pl011@9000000", "/pl011@9000000:115200n8", "/pl011", "serial0", "serial0:115200", "serial0:"]
)
def test_console_by_path_or_alias(path):
    aliases = Node("aliases", {"serial0": strings("/pl011@9000000")})
    machine = machine_with(uart(), aliases, chosen(stdout_path=strings(path)))
    assert console_of(machine) == "pl011@9000000"


@pytest.mark.parametrize(
    ("nodes", "error"),
    [
        ([], ENOENT),
        ([chosen()], ENOENT),
        ([chosen(stdout_path=strings("/nowhere"))], ENOENT),
        ([chosen(stdout_path=strings("serial0"))], ENOENT),
        ([Node("aliases"), chosen(stdout_path=strings("serial0"))], EINVAL),
        ([chosen(stdout_path=b"")], EINVAL),
    ],
)
def test_no_console(nodes, error):
    machine = machine_with(uart(), *nodes)
    assert machine.host.errno(f"{DEVICETREE}console_node") == error


@pytest.mark.parametrize(
    ("properties", "line"),
    [
        ({}, ""),
        ({"bootargs": "loglvl=all"}, "loglvl=all"),
        ({"xen,xen-bootargs": "sched=fair", "bootargs": "root=/dev/vda"}, "sched=fair"),
        ({"xen,dom0-bootargs": "root=/dev/vda", "bootargs": "root=/dev/vda"}, ""),
    ],
)
def test_command_line(properties, line):
    machine = machine_with(Node("chosen", {name: strings(text) for name, text in properties.items()}))
    assert machine.host.call(f"{DEVICETREE}boot_arguments") == line


def ranges(machine: Machine, which: str) -> list[tuple[int, int]]:
    found = getattr(machine.host.variable(f"{MEMORY}early.early"), which)
    return [(r.start, r.end) for r in list(found.ranges)[: found.count]]


def memory(*regions: tuple[int, int], **more: bytes) -> Node:
    reg = b"".join(u64(start) + u64(size) for start, size in regions)
    return Node(f"memory@{regions[0][0]:x}", {"device_type": strings("memory"), "reg": reg, **more})


def test_memory_and_what_is_taken():
    reserved = Node(
        "reserved-memory",
        {"#address-cells": u32(2), "#size-cells": u32(2), "ranges": b""},
        [
            Node("firmware@1", {"reg": u64(RAM_BASE + 2 * MIB) + u64(MIB), "no-map": b""}),
            Node("buffer@2", {"reg": u64(RAM_BASE + 4 * MIB) + u64(MIB)}),
            Node("anywhere", {"size": u64(MIB)}),
        ],
    )
    machine = machine_with(
        memory((RAM_BASE, 8 * MIB), (RAM_BASE + 32 * MIB, MIB)),
        memory((RAM_BASE + 64 * MIB, MIB), status=strings("disabled")),
        reserved,
        reserved=[(RAM_BASE + 6 * MIB + 0x800, 0x1000)],
    )
    machine.call(f"{DEVICETREE}add_memory")
    machine.call(f"{DEVICETREE}reserve_memory")
    at = RAM_BASE
    assert ranges(machine, "ram") == [
        (at, at + 2 * MIB),
        (at + 3 * MIB, at + 8 * MIB),
        (at + 32 * MIB, at + 33 * MIB),
    ]
    assert ranges(machine, "free") == [
        (at, at + 2 * MIB),
        (at + 3 * MIB, at + 4 * MIB),
        (at + 5 * MIB, at + 6 * MIB),
        (at + 6 * MIB + 0x2000, at + 8 * MIB),
        (at + 32 * MIB, at + 33 * MIB),
    ]


def test_malformed_memory():
    broken = Node("memory@0", {"device_type": strings("memory"), "reg": u32(1)})
    machine = machine_with(broken)
    assert machine.host.errno(f"{DEVICETREE}add_memory") == EINVAL
