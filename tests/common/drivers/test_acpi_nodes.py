"""ACPI's SRAT as the machine's NUMA nodes: every kind of entry, and tables that cannot be true."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.drivers import acpi_writer as w
from tests.common.host import host

MM, DRIVERS = "hv.common.mm.", "hv.common.drivers."
GIB = 1 << 30
ENABLED, HOT = 1, 2


def memory(start, length, domain, flags=ENABLED):
    return struct.pack("<BBIHQQIIQ", 1, 40, domain, 0, start, length, 0, flags, 0)


def cpu(apic_id, domain, flags=ENABLED):
    upper = (domain >> 8).to_bytes(3, "little")
    return struct.pack("<BBBBIB3sI", 0, 16, domain & 0xFF, apic_id, flags, 0, upper, 0)


def x2apic(apic_id, domain, flags=ENABLED):
    return struct.pack("<BBHIIII4x", 2, 24, 0, domain, apic_id, flags, 0)


def srat(*entries, revision=3):
    return w.table(b"SRAT", bytes(12) + b"".join(entries), revision)


class Machine:
    """One that has read the table. None: it has no such table."""

    def __init__(self, table: bytes | None, off: bool = False) -> None:
        self.nodes = host().cleared(f"{MM}nodes.nodes")
        self.nodes.off = off
        host().cleared("hv.common.kernel.console.console")
        physical = w.PhysicalMap()
        physical.put(w.XSDT_AT, w.xsdt([] if table is None else [0x10_0000]))
        if table is not None:
            physical.put(0x10_0000, table)
        host().call("hv.sim.console.attach")
        host().printed()
        host().call("hv.sim.x86_devices.find_tables", host().bytes(w.rsdp(w.RSDT_AT, w.XSDT_AT, 2))[0])
        host().call(f"{DRIVERS}acpi_nodes.read_nodes")
        self.said = host().printed()

    @property
    def count(self):
        return host().call(f"{MM}nodes.Nodes.count", self.nodes)

    def node_at(self, at):
        return host().call(f"{MM}nodes.Nodes.node_at", self.nodes, at)

    def node_of(self, apic_id):
        return host().call(f"{DRIVERS}acpi_nodes.node_of_cpu", apic_id)


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    host().cleared(f"{MM}nodes.nodes")
    host().cleared("hv.sim.physical.physical")
    host().call(f"{DRIVERS}acpi_nodes.read_nodes")


TWO = (
    memory(0, 0xA_0000, 0), memory(0x10_0000, 2 * GIB - 0x10_0000, 0), memory(4 * GIB, 2 * GIB, 0),
    memory(6 * GIB, 4 * GIB, 1), cpu(0, 0), cpu(2, 0), cpu(1, 1), x2apic(0x1234, 1), cpu(0xFF, 1, 0),
)  # fmt: skip


def test_two_nodes():
    machine = Machine(srat(*TWO))
    assert machine.said == "" and machine.count == 2
    assert [machine.node_at(at) for at in (0, 5 * GIB, 6 * GIB - 1, 6 * GIB, 10 * GIB - 1)] == [0, 0, 0, 1, 1]
    assert [machine.node_of(apic) for apic in (0, 1, 2, 0x1234)] == [0, 1, 0, 1]


def test_a_cpu_that_it_does_not_name_or_names_as_none_is_node_0s():
    machine = Machine(srat(*TWO))
    assert machine.node_of(0xFF) == 0 and machine.node_of(77) == 0 and machine.node_of(2**32 - 1) == 0


def test_memory_that_may_be_plugged_in_is_its_nodes():
    machine = Machine(srat(memory(0, GIB, 3), memory(GIB, 64 * GIB, 8, ENABLED | HOT), memory(100 * GIB, GIB, 5, HOT)))
    assert machine.count == 2 and [machine.node_at(at * GIB) for at in (0, 1, 64, 65, 100)] == [0, 1, 1, 0, 0]


def test_a_node_without_memory_has_its_cpus():
    machine = Machine(srat(memory(0, GIB, 0), cpu(1, 4), x2apic(0x100, 9)))
    assert machine.count == 3 and [machine.node_of(apic) for apic in (1, 0x100)] == [1, 2]


def test_numbers_of_more_than_a_byte():
    """Since revision 2; before, a proximity domain has a byte."""
    table = (memory(0, GIB, 0x0403_0201), memory(GIB, GIB, 1), cpu(1, 0x0403_0201))
    assert Machine(srat(*table)).count == 2 and Machine(srat(*table)).node_of(1) == 1
    assert Machine(srat(*table, revision=1)).count == 1


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ((memory(0, 2 * GIB, 0), memory(GIB, GIB, 1)), "EEXIST"),
        ((memory(GIB, GIB, 1), memory(0, 3 * GIB, 0)), "EEXIST"),
        ((memory(0, 2**64 - 1, 0), memory(GIB, 1, 1)), "EINVAL"),
        ((memory(2**64 - 1, 2, 0),), "EINVAL"),
        ((memory(1 << 52, 1, 0),), "EINVAL"),
        ((memory((1 << 52) - GIB, GIB + 1, 0),), "EINVAL"),
        (tuple(memory(i * GIB, GIB, i) for i in range(65)), "ENOSPC"),
        ((memory(0, GIB, 0), *(x2apic(i, i) for i in range(256))), "ENOSPC"),
        (tuple(memory(i * GIB, GIB // 2, i % 2) for i in range(257)), "ENOSPC"),
    ],
    ids=["overlap", "around", "all", "wraps", "beyond", "across", "65 nodes", "256 nodes", "scattered"],
)
def test_a_table_that_cannot_be_true_or_kept_is_not_believed(entries, said):
    machine = Machine(srat(*entries))
    assert f"ACPI's table of NUMA nodes (SRAT) cannot be true: {said}; the machine counts as one node" in machine.said
    assert machine.count == 1 and machine.node_at(GIB) == 0 and machine.node_of(1) == 0


def test_64_nodes_are_kept():
    machine = Machine(srat(*(memory(i * GIB, GIB, 63 - i) for i in range(64)), *(cpu(i, i) for i in range(64))))
    assert machine.said == "" and machine.count == 64
    assert [machine.node_at(i * GIB) for i in range(64)] == list(reversed(range(64)))
    assert [machine.node_of(i) for i in range(64)] == list(range(64))


def test_overlaps_and_gaps_of_one_node_are_nothing():
    machine = Machine(srat(memory(0, 2 * GIB, 0), memory(GIB, 2 * GIB, 0), memory(4 * GIB, 0, 1), cpu(3, 0)))
    assert machine.said == "" and machine.count == 1


@pytest.mark.parametrize("table", [srat(*TWO)[:-1] + b"\x11", srat(*TWO[:1], memory(0, 1, 1)[:-1])])
def test_a_damaged_table_is_told_of(table):
    machine = Machine(table)
    assert "ACPI's table of NUMA nodes (SRAT) is damaged: the machine counts as one node" in machine.said
    assert machine.count == 1 and machine.node_of(1) == 0


def test_no_table_and_no_wish_for_one():
    assert Machine(None).said == "" and Machine(None).count == 1
    machine = Machine(srat(*TWO), off=True)
    assert machine.said == "" and machine.count == 1 and machine.node_of(1) == 0


ENTRY = st.one_of(
    st.builds(
        memory,
        st.sampled_from([0, GIB, 2 * GIB, 1 << 51, 1 << 52]) | st.integers(0, 2**64 - 1),
        st.sampled_from([0, 1, GIB, 3 * GIB]) | st.integers(0, 2**64 - 1),
        st.integers(0, 3) | st.integers(0, 2**32 - 1),
        st.integers(0, 7),
    ),
    st.builds(cpu, st.integers(0, 255), st.integers(0, 3), st.integers(0, 3)),
    st.builds(x2apic, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 3)),
    st.builds(lambda kind, body: bytes([kind, 2 + len(body)]) + body, st.integers(0, 255), st.binary(max_size=40)),
)


@given(st.lists(ENTRY, max_size=80), st.integers(0, 4), st.integers(0, 300))
@settings(max_examples=200, deadline=None)
def test_whatever_a_table_says_each_byte_and_cpu_has_a_node(entries, revision, cut):
    """All of it is believed, or nothing."""
    table = srat(*entries, revision=revision)
    if cut < len(table) - 36:
        table = w.table(b"SRAT", table[36 : len(table) - cut], revision)
    machine = Machine(table)
    count = machine.count
    assert 1 <= count <= 64 and (count == 1 or machine.said == "")
    assert all(machine.node_at(at * GIB // 2) < count for at in range(12))
    assert all(machine.node_of(apic) < count for apic in (*range(8), 255, 2**32 - 1))
