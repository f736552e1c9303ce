"""Domains on a machine with NUMA nodes: their memory is where their vCPUs begin, as far as there is any."""

from __future__ import annotations

import re

import pytest

from tests.common.guests import (
    MODULES,
    RAM_BASE,
    Machine,
    Node,
    domain_node,
    flat,
    kernel_image,
    module,
    strings,
    u32,
    u64,
)

KERNEL = kernel_image(0x2_8123, image_size=0x5_0000, seed=3)
HALF = 0x200_0000
MIB = 1 << 20
BANK = 0x4000_0000


def node_id(number: int | None) -> dict[str, bytes]:
    return {} if number is None else {"numa-node-id": u32(number)}


def tree(domains: list[Node], ids: tuple[int | None, int | None] = (3, 7), overlap: int = 0, cpus: int = 4) -> bytes:
    """Two nodes with half of the memory each; odd CPUs are on the second."""
    halves = [
        Node(
            f"memory@{start:x}",
            {"device_type": strings("memory"), "reg": u64(start) + u64(size), **node_id(number)},
        )
        for start, size, number in (
            (RAM_BASE, HALF + overlap, ids[0]),
            (RAM_BASE + HALF, HALF, ids[1]),
        )
    ]
    cores = [
        Node(f"cpu@{i:x}", {"device_type": strings("cpu"), "reg": u32(i), **node_id(ids[i % 2])}) for i in range(cpus)
    ]
    return flat(
        Node(
            "",
            {"#address-cells": u32(2), "#size-cells": u32(2)},
            [
                *halves,
                Node("cpus", {"#address-cells": u32(1), "#size-cells": u32(0)}, cores),
                Node("chosen", {}, domains),
            ],
        )
    )


def domain(name: str, mib: int, *affinities: str) -> Node:
    vcpus = [
        Node(f"vcpu{i}", {"compatible": strings("xen,vcpu"), "id": u32(i), "hard-affinity": strings(cpus)})
        for i, cpus in enumerate(affinities)
    ]
    return domain_node(name, [module("kernel", MODULES, len(KERNEL)), *vcpus], mib * 1024, max(len(affinities), 1))


def nodes_of(machine: Machine, number: int, mib: int) -> dict[int, int]:
    """How many MiB of a domain's memory are on which node."""
    found: dict[int, int] = {}
    gfn = BANK >> 12
    while gfn < (BANK >> 12) + mib * 256:
        leaf = machine.call("hv.common.mm.p2m.P2m.lookup", machine.p2m(machine.domain(number)), gfn)
        node = machine.call("hv.common.mm.frames.FrameTable.bank_of", machine.frames, leaf.mfn).node
        found[node] = found.get(node, 0) + (1 << leaf.order)
        gfn += 1 << leaf.order
    return {node: frames // 256 for node, frames in found.items()}


def started(domains: list[Node], ids: tuple[int | None, int | None] = (3, 7), overlap: int = 0) -> Machine:
    """With its domains. CPUs are where the tree has them before it boots."""
    blob = tree(domains, ids, overlap)
    machine = Machine(4)
    machine.put(MODULES, KERNEL)
    expected = [0, 1, 0, 1] if ids[0] != ids[1] and not overlap else [0] * 4
    for cpu, node in enumerate(expected):
        machine.host.per_cpu(cpu, "hv.common.mm.nodes.CpuNode").node = node
    machine.printed = machine.boot(blob)
    at = machine.host.bytes(blob)[0]
    assert [machine.call("hv.sim.controller.node_of_tree_cpu", at, cpu) for cpu in range(4)] == expected
    return machine


@pytest.mark.parametrize(
    ("affinities", "node"),
    [(("1",), 1), (("0",), 0), (("1,3", "3"), 1), (("0", "1", "3"), 1), (("0", "1"), 0), (("0-3",), 1)],
)
def test_memory_is_where_most_vcpus_begin(affinities, node):
    """Round robin has vCPUs begin on CPUs in turn where nothing else is said."""
    machine = started([domain("a", 8, *affinities)])
    slot = machine.domain(1).slot
    expected = (slot % 4) % 2 if affinities == ("0-3",) else node
    assert machine.printed == [] and nodes_of(machine, 1, 8) == {expected: 8}
    assert machine.p2m(machine.domain(1)).tables.node == expected


def test_what_a_node_has_not_comes_from_the_other():
    machine = started([domain("a", 24, "1"), domain("b", 16, "1"), domain("c", 2, "3")])
    assert machine.printed == []
    assert nodes_of(machine, 1, 24) == {1: 24}
    rest = nodes_of(machine, 2, 16)
    assert 6 <= rest[1] < 8 and rest[0] + rest[1] in (15, 16)
    assert nodes_of(machine, 3, 2) == {0: 2}


def test_key_u_tells_whose_memory_is_where():
    machine = started([domain("a", 24, "1"), domain("b", 16, "3")])
    lines = [line.removeprefix("(hv) ") for line in machine.press("u")]
    text = "\n".join(lines)
    assert re.search(r"node 0 \(proximity domain 3\): 32 MiB, CPUs 0,2\n  memory 0x40000000 to 0x42000000\n", text)
    assert re.search(r"node 1 \(proximity domain 7\): 32 MiB, CPUs 1,3\n  memory 0x42000000 to 0x44000000\n", text)
    assert [int(n) for n in re.findall(r"  (\d+) frames are free", text)] == [
        machine.heap.zones[node].free_frames for node in (0, 1)
    ]
    for line, mib in (("d1 a", 24), ("d2 b", 16)):
        (told,) = [found for found in lines if found.startswith(f"{line}: memory of node 1 for preference, ")]
        shares = {int(node): int(count) for count, node in re.findall(r"(\d+) frames on node (\d)", told)}
        assert mib * 256 <= sum(shares.values()) <= mib * 256 + 64  # and pages that it shares with the hypervisor
        assert shares[1] >= 24 * 256 if mib == 24 else shares[0] > 8 * 256


@pytest.mark.parametrize(("ids", "overlap"), [((3, 7), 0x1000), ((None, None), 0), ((3, 3), 0)])
def test_a_machine_that_counts_as_one_node(ids, overlap):
    """Nodes that have the same memory are not believed."""
    machine = started([domain("a", 40, "1")], ids=ids, overlap=overlap)
    told = [line for line in machine.printed if "NUMA" in line]
    assert len(told) == bool(overlap) and all("cannot be true: EEXIST" in line for line in told)
    assert machine.heap.zone_count == 1 and nodes_of(machine, 1, 40) == {0: 40}
    assert machine.domain(1).state == 1
