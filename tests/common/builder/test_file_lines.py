"""Lines of a partition file: what is taken from a domain's node, and which line a fault is said to be about."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common.builder.test_dom0less import LINES_ARE_WRONG, boot, good
from tests.common.guests import Machine, u32, u64
from tests.common.host import host

NAME = "hv.common.builder.file_lines."
LAST = 2**64 - 1


def rows(*wanted):
    return b"".join(u64(start) + u64(size) + u32(line) for start, size, line in wanted)


def described(lines, file="machine.toml"):
    node = good("a")
    node.properties["constrictor,lines"] = lines
    if file is not None:
        node.properties["constrictor,file"] = file.encode() + b"\0" if isinstance(file, str) else file
    return boot(node, good("b"))


def kept(machine):
    """The file's name and the rows of the first domain."""
    description = machine.host.variable("hv.common.builder.description.descriptions").table[0]
    lines = machine.ffi.addressof(description, "lines")
    count = machine.call(f"{NAME}FileLines.count", lines)
    found = [machine.call(f"{NAME}FileLines.row", lines, i) for i in range(count)]
    return machine.host.library.text(lines.file), [(row.start, row.end - row.start, row.number) for row in found]


@st.composite
def tables(draw):
    """Ascending rows without overlap, some of which touch."""
    cuts = sorted(draw(st.sets(st.integers(0, 2**40) | st.integers(LAST - 2**20, LAST), min_size=2, max_size=30)))
    found = []
    for start, end in pairwise(cuts):
        if draw(st.booleans()):
            found.append((start, end - start, draw(st.integers(0, 2**32 - 1))))
    return found or [(cuts[0], cuts[1] - cuts[0], 1)]


def test_rows_are_kept_as_they_are():
    wanted = [(0, 0x1000, 7), (0x1000, 0x2000, 3), (LAST - 0x1000, 0x1000, 9)]
    machine = described(rows(*wanted))
    assert machine.printed == []
    assert kept(machine) == ("machine.toml", wanted)


def test_a_domain_without_lines_has_none():
    assert kept(boot(good("a"))) == ("", [])


WRONG = [
    rows((0, 0x1000, 1))[:-1],
    rows((0, 0x1000, 1)) + b"\0",
    rows((0x1000, 0, 1)),
    rows((0x1000, 0x1000, 1), (0x1FFF, 0x1000, 2)),
    rows((0x2000, 0x1000, 1), (0x1000, 0x1000, 2)),
    rows((LAST, 1, 1)),
    rows((0x1000, LAST, 1)),
    rows(*((i << 12, 0x1000, 1) for i in range(257))),
]


@pytest.mark.parametrize("lines", WRONG)
def test_malformed_rows_refuse_the_domain(lines):
    machine = described(lines)
    assert machine.printed == [f"(hv) a: {LINES_ARE_WRONG}: the domain is not built"]
    assert machine.domain(2) is not None


@pytest.mark.parametrize("file", [None, "", "x" * 64, "a\x1b[2J", "a\x7f", b"no end"])
def test_the_files_name_can_be_printed(file):
    machine = described(rows((0, 0x1000, 1)), file)
    assert machine.printed == [f"(hv) a: {LINES_ARE_WRONG}: the domain is not built"]


def test_as_many_as_there_may_be():
    wanted = [(i << 12, 0x1000, i) for i in range(256)]
    assert kept(described(rows(*wanted), "x" * 63)) == ("x" * 63, wanted)


@given(table=tables(), data=st.data())
def test_the_nearest_line(table, data):
    """The one that gave the address, or else that from which the fewest bytes part it."""
    edges = [edge for start, size, _ in table for edge in (start, start + size - 1, start + size, max(start - 1, 0))]
    address = data.draw(st.sampled_from(edges) | st.integers(0, LAST))
    library = host().library
    lines = library.new(f"{NAME}FileLines")
    lines.rows = host().bytes(rows(*table))[0]
    found = host().call(f"{NAME}FileLines.nearest", lines, address)
    line = host().ffi.new("common_builder_file_lines_FileLine *", found)

    def distance(row):
        start, size, _ = row
        return start - address if address < start else max(0, address - (start + size - 1))

    best = min(table, key=distance)
    assert (found.start, found.end - found.start, found.number) == best
    relation = host().call(f"{NAME}FileLine.relation", line, address)
    edge = host().call(f"{NAME}FileLine.edge", line, address)
    if address < best[0]:
        assert (relation, edge) == ("begins at", best[0])
    elif address < best[0] + best[1]:
        assert (relation, edge) == ("gives it, from", best[0])
    else:
        assert (relation, edge) == ("ends at", best[0] + best[1])


@pytest.mark.parametrize("asked", [None, "a", "b", "both"])
def test_who_has_the_keyboard_first(asked):
    """The first that joins unless a node asks for another; a guest joins when it is built."""
    nodes = {name: good(name) for name in "ab"}
    for name in nodes:
        if asked in (name, "both"):
            nodes[name].properties["constrictor,console-input"] = b""
    machine = boot(*nodes.values())
    console = machine.host.variable("hv.common.kernel.console.console")
    assert console.focus.domain == {None: 1, "a": 1, "b": 2, "both": 1}[asked]


def test_the_keyboard_that_is_to_stay():
    machine = Machine()
    console = machine.host.variable("hv.common.kernel.console.console")
    machine.call("hv.common.kernel.console.Console.stay_at_hypervisor", console)
    machine.call("hv.common.kernel.console.Console.prefer", console, 2)
    assert (console.settled, console.expected) == (True, 0)
