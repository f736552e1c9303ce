"""NUMA nodes: whose each byte of memory is, the banks that come of it, and what is told, against plain sets."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.common.host import host
from tests.common.mm.simulated import EEXIST, ENOSPC, RAM_BASE, Machine

PAGE = 4096
NODES = "nodes.Nodes."
LAST = 2**64 - 1


class Nodes:
    def __init__(self) -> None:
        self.machine = Machine()
        self.it = self.machine.library.variable("hv.common.mm.nodes.nodes")
        self.early = self.machine.library.variable("hv.common.mm.early.early")
        self.spans: list[tuple[int, int, int]] = []

    def call(self, name, *arguments):
        return self.machine.mm(NODES + name, self.it, *arguments)

    def add(self, start, end, domain):
        error, _ = self.machine.errno_or(self.call, "add_memory", start, end, domain)
        if not error:
            self.spans.append((start, end, domain))
        return error

    def node_at(self, at):
        domain = next((domain for start, end, domain in self.spans if start <= at < end), None)
        return 0 if domain is None else self.call("number_of", domain)


SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12), st.integers(0, 4)), max_size=12)


@given(SPANS, st.integers(0, 80), st.integers(1, 80))
@example([(0, 10, 1), (10, 10, 1), (20, 5, 2)], 0, 80)
@settings(deadline=None)
def test_whose_a_piece_of_memory_is(spans, start, length):
    """Spans that touch are one piece when they are of one node; what nobody has is node 0's. Where two nodes have the
    same, the second is refused."""
    nodes = Nodes()
    for first, count, domain in spans:
        known = {d for s, e, d in nodes.spans if s < first + count and first < e}
        assert nodes.add(first, first + count, domain) == (EEXIST if known - {domain} else 0)
    for at in range(80):
        assert nodes.call("node_at", at) == nodes.node_at(at)
    end = start + length
    piece = nodes.call("piece", start, end)
    assert (piece.start, piece.node) == (start, nodes.node_at(start))
    expected = next((at for at in range(start, end) if nodes.node_at(at) != piece.node), end)
    assert piece.end == expected


def test_nodes_are_counted_in_the_order_of_their_domains():
    nodes = Nodes()
    assert nodes.call("count") == 1 and nodes.call("number_of", 7) == 0
    assert [nodes.call("name", domain) for domain in (7, 2**32 - 1, 0, 7, 5)] == [0, 1, 0, 1, 1]
    assert [nodes.call("number_of", domain) for domain in (0, 5, 7, 2**32 - 1, 9)] == [0, 1, 2, 3, 0]
    nodes.call("forget")
    assert nodes.call("count") == 1 and nodes.call("number_of", 0) == 0


def test_more_nodes_and_spans_than_there_is_room_for():
    nodes = Nodes()
    assert [nodes.add(i * 10, i * 10 + 5, i) for i in range(65)] == [0] * 64 + [ENOSPC]
    nodes = Nodes()
    assert [nodes.add(i * 10, i * 10 + 5, i % 3) for i in range(257)] == [0] * 256 + [ENOSPC]


@pytest.mark.parametrize(
    ("text", "off"), [("off", True), ("no", True), ("noacpi", True), ("on", False), ("", False), ("fake=4", None)]
)
def test_the_option(text, off):
    """Xen's words; what is not known is refused."""
    Nodes().it.off = False
    assert host().call("hv.common.mm.nodes.numa", text) == (off is not None)
    if off is not None:
        assert host().variable("hv.common.mm.nodes.nodes").off == off
    host().variable("hv.common.mm.nodes.nodes").off = False


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 90)), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 300 * 4), st.integers(1, 300), st.integers(0, 5)), max_size=8),
)
@settings(max_examples=60, deadline=None)
def test_each_frame_is_in_a_bank_of_its_node(ram, spans):
    """RAM with holes, nodes with odd ends: all RAM is in banks, each of one node; the heap takes each from its own."""
    nodes = Nodes()
    machine = nodes.machine
    frames = set()
    for first, count in ram:
        start = RAM_BASE + first * PAGE
        machine.mm("early.EarlyMemory.add_ram", nodes.early, start, start + count * PAGE)
        frames |= set(range(start // PAGE, start // PAGE + count))
    for first, length, domain in spans:
        start = RAM_BASE + first * PAGE // 4
        nodes.add(start, start + length * PAGE // 4, domain)
    machine.mm("early.start_heap")
    seen = {}
    for i in range(machine.frames.bank_count):
        bank = machine.frames.banks[i]
        seen |= dict.fromkeys(range(bank.start, bank.start + bank.frames), bank.node)
    assert set(seen) == frames and machine.frames.frames == len(frames)
    for frame, node in seen.items():
        inside = {nodes.node_at(frame * PAGE + at) for at in range(0, PAGE, PAGE // 4)}
        assert node in inside
    assert sum(1 << order for _, order in machine.free_blocks()) == machine.heap.free_frames


def test_records_lie_in_the_node_that_they_are_of():
    nodes = Nodes()
    machine = nodes.machine
    half = 0x2000 * PAGE
    machine.mm("early.EarlyMemory.add_ram", nodes.early, RAM_BASE, RAM_BASE + 2 * half)
    nodes.add(RAM_BASE, RAM_BASE + half, 0)
    nodes.add(RAM_BASE + half, RAM_BASE + 2 * half, 1)
    machine.mm("early.start_heap")
    free = [machine.heap.zones[node].free_frames for node in (0, 1)]
    assert free == [0x2000 - 32, 0x2000 - 32]


def test_memory_in_more_pieces_than_there_are_banks_for_is_one_nodes():
    nodes = Nodes()
    machine = nodes.machine
    machine.mm("early.EarlyMemory.add_ram", nodes.early, RAM_BASE, RAM_BASE + 400 * PAGE)
    for i in range(150):
        assert nodes.add(RAM_BASE + i * PAGE, RAM_BASE + (i + 1) * PAGE, i % 2) == 0
    host().printed()
    machine.mm("early.start_heap")
    assert "in too many pieces: the machine counts as one node" in host().printed()
    assert machine.frames.bank_count == 1 and nodes.call("count") == 1


def test_what_is_told_of_nodes():
    """CPUs as ranges, memory by banks, also for a node that has neither."""
    nodes = Nodes()
    machine = nodes.machine
    host().cleared_per_cpu("hv.common.kernel.cpus.Cpu")
    for domain, first in ((5, 0), (9, 256), (5, 512)):
        nodes.add(RAM_BASE + first * PAGE, RAM_BASE + (first + 256) * PAGE, domain)
        machine.mm("early.EarlyMemory.add_ram", nodes.early, RAM_BASE + first * PAGE, RAM_BASE + (first + 256) * PAGE)
    nodes.call("name", 77)
    machine.mm("early.start_heap")
    for cpu, node in enumerate([0, 0, 0, 1, 0, 1]):
        host().per_cpu(cpu, "hv.common.mm.nodes.CpuNode").node = node
        host().enter(cpu)
        host().call("hv.common.kernel.cpus.mark_online")
    host().enter(0)
    host().printed()
    machine.mm("node_report.report_nodes")
    assert [line.strip().removeprefix("(hv) ") for line in host().printed().splitlines()] == [
        "node 0 (proximity domain 5): 2 MiB, CPUs 0-2,4",
        "  memory 0x40000000 to 0x40100000",
        "  memory 0x40200000 to 0x40300000",
        "node 1 (proximity domain 9): 1 MiB, CPUs 3,5",
        "  memory 0x40100000 to 0x40200000",
        "node 2 (proximity domain 77): 0 MiB, no CPUs",
    ]
    host().cleared_per_cpu("hv.common.kernel.cpus.Cpu")


def test_a_machine_with_one_node_says_nothing():
    nodes = Nodes()
    host().printed()
    nodes.machine.mm("node_report.report_nodes")
    assert host().printed() == ""
