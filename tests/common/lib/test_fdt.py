"""The reader of device trees: against libfdt on good ones, and against anything at all."""

import random
import struct

import libfdt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.common.host import EINVAL, ENOENT, LIB, SAMPLES, host

FDT = f"{LIB}fdt.Fdt."
NODE = f"{LIB}fdt.Node."
TREE = f"{SAMPLES}trees"
ROOM = 65536  # bytes of the largest tree


def load(blob, room=None):
    """The errno of reading the blob as the tree of the samples."""
    trees = host().cleared(TREE)
    return host().errno(f"{FDT}init", host().ffi.addressof(trees, "tree"), host().bytes(blob, room)[0])


def tree():
    return host().ffi.addressof(host().variable(TREE), "tree")


class Builder:
    """A tree made by libfdt's sequential writer."""

    def __init__(self):
        self.fdt = libfdt.FdtSw(size_hint=ROOM)  # its end does not make room for itself
        self.reservations = []

    def blob(self, nodes, reservations=()):
        for start, size in reservations:
            self.fdt.add_reservemap_entry(start, size)
        self.fdt.finish_reservemap()
        self.node("", nodes)
        whole = self.fdt.as_fdt()
        return bytes(whole.as_bytearray()[: whole.totalsize()])

    def node(self, name, content):
        self.fdt.begin_node(name)
        for key, value in content.items():
            if not isinstance(value, dict):
                self.fdt.property(key, value)
        for key, value in content.items():
            if isinstance(value, dict):
                self.node(key, value)
        self.fdt.end_node()


def cells(*numbers):
    return struct.pack(f">{len(numbers)}I", *numbers)


def built(nodes, reservations=()):
    return Builder().blob(nodes, reservations)


BOARD = {
    "#address-cells": cells(2),
    "#size-cells": cells(2),
    "compatible": b"linux,dummy-virt\0acme,board\0",
    "cpus": {
        "#address-cells": cells(1),
        "#size-cells": cells(0),
        "cpu@0": {"reg": cells(0), "device_type": b"cpu\0"},
        "cpu@101": {"reg": cells(0x101), "device_type": b"cpu\0", "status": b"disabled\0"},
    },
    "memory@40000000": {"reg": cells(0, 0x4000_0000, 0, 0x1000_0000, 1, 0, 2, 0), "device_type": b"memory\0"},
    "soc": {
        "#address-cells": cells(1),
        "#size-cells": cells(1),
        "ranges": cells(0x1000, 0, 0x900_0000, 0x1000, 0x8000_0000, 0x10, 0, 0x100_0000),
        "phandle": cells(7),
        "uart@1800": {"reg": cells(0x1800, 0x100, 0x1F80, 0x100), "compatible": b"arm,sbsa-uart\0arm,pl011\0"},
        "bus": {
            "#address-cells": cells(1),
            "#size-cells": cells(1),
            "ranges": b"",
            "timer@80000010": {"reg": cells(0x8000_0010, 8), "phandle": cells(0x8000)},
        },
        "island": {"#address-cells": cells(1), "#size-cells": cells(1), "clock@5": {"reg": cells(5, 1)}},
        "status": b"okay\0",
    },
    "chosen": {"bootargs": b"loglvl=debug x=1\0", "wide": cells(1, 2), "narrow": cells(9), "odd": b"abc", "flag": b""},
}


def found(path):
    result = host().library.call(f"{FDT}find", tree(), path)
    return host().ffi.new("common_lib_fdt_Node *", result)


def regions(path, raw=False):
    """The entries of `reg`, and the errno that ends them."""
    node, seen = found(path), []
    for i in range(8):
        code = host().errno(f"{NODE}{'raw_' if raw else ''}reg", node, i)
        if code:
            return seen, code
        region = host().call(f"{NODE}{'raw_' if raw else ''}reg", node, i)
        seen.append((region.start, region.size))
    return seen, 0


@pytest.fixture
def board():
    assert load(built(BOARD, [(0x4800_0000, 0x1000), (1 << 40, 3)])) == 0


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/memory", [(0x4000_0000, 0x1000_0000), (1 << 32, 2 << 32)]),
        ("/soc/uart@1800", [(0x900_0800, 0x100), (0x900_0F80, 0x100)][:1]),
        ("/soc/bus/timer@80000010", [(0x10_0000_0010, 8)]),
        ("/soc/island/clock", []),
        ("/soc", []),
        ("/cpus/cpu@101", []),
    ],
)
def test_addresses_are_translated(board, path, expected):
    """An entry that no range holds whole, or that stands behind a bus without `ranges`, is EINVAL."""
    assert regions(path) == (expected, EINVAL)


def test_addresses_as_the_bus_has_them(board):
    assert regions("/cpus/cpu@101", raw=True) == ([(0x101, 0)], EINVAL)
    assert regions("/soc/uart", raw=True) == ([(0x1800, 0x100), (0x1F80, 0x100)], EINVAL)
    assert host().call(f"{NODE}reg_count", found("/soc/uart")) == 2
    assert host().call(f"{NODE}reg_count", found("/chosen")) == 0
    assert host().errno(f"{NODE}reg_count", found("/")) == ENOENT


def test_nodes_are_found(board):
    uart = found("/soc/uart")
    assert host().call(f"{NODE}name", uart) == "uart@1800"
    assert host().call(f"{NODE}base_name", uart) == "uart"
    parent = host().library.call(f"{NODE}parent", uart)
    assert parent.offset == found("//soc/").offset
    for path in ("/nothing", "/soc/uart@1801", "/soc/uart/x", "/soc/u"):
        assert host().errno(f"{FDT}find", tree(), path) == ENOENT
    assert host().library.call(f"{FDT}by_phandle", tree(), 0x8000).offset == found("/soc/bus/timer").offset
    assert host().errno(f"{FDT}by_phandle", tree(), 8) == ENOENT
    assert host().errno(f"{NODE}parent", found("/")) == ENOENT
    assert host().call(f"{SAMPLES}compatible_names", "arm,pl011") == "uart@1800,"
    assert host().call(f"{SAMPLES}compatible_names", "arm,pl01") == ""
    assert bool(host().call(f"{NODE}is_compatible", found("/"), "acme,board"))
    for path, enabled in [("/soc", True), ("/cpus/cpu@0", True), ("/cpus/cpu@101", False)]:
        assert bool(host().call(f"{NODE}enabled", found(path))) == enabled


def prop(path, name):
    return host().ffi.new("common_lib_fdt_Property *", host().library.call(f"{NODE}property", found(path), name))


def answer(name, function, *arguments):
    code = host().errno(f"{LIB}fdt.Property.{function}", prop("/chosen", name), *arguments)
    return -code if code else host().call(f"{LIB}fdt.Property.{function}", prop("/chosen", name), *arguments)


def test_values(board):
    assert answer("wide", "cell", 1) == 2
    assert answer("wide", "cell", 2) == -EINVAL
    assert answer("wide", "number", 0, 2) == 1 << 32 | 2
    assert answer("wide", "number", 1, 2) == -EINVAL
    assert answer("wide", "number", 2, 0) == 0
    assert answer("wide", "number", 3, 0) == -EINVAL
    assert answer("wide", "number", 0, 3) == -EINVAL
    assert answer("wide", "number", 2**32 - 1, 2) == -EINVAL
    assert [answer(name, "integer") for name in ("wide", "narrow", "odd", "flag", "none")] == [
        1 << 32 | 2,
        9,
        -EINVAL,
        -EINVAL,
        -EINVAL,
    ]
    assert answer("none", "cell", 0) == -EINVAL
    assert host().call(f"{NODE}has", found("/chosen"), "flag")
    assert not host().call(f"{NODE}has", found("/chosen"), "none")


def test_strings(board):
    assert host().call(f"{SAMPLES}strings_of", "/", "compatible") == "<linux,dummy-virt><acme,board>"
    assert host().call(f"{SAMPLES}strings_of", "/chosen", "odd") == ""
    assert host().call(f"{SAMPLES}strings_of", "/chosen", "flag") == ""
    assert host().call(f"{SAMPLES}strings_of", "/none", "flag") == "ENOENT"
    text = host().library.call(f"{LIB}fdt.Property.string", prop("/", "compatible"), 1)
    assert host().library.text(text) == "acme,board"
    assert host().errno(f"{LIB}fdt.Property.string", prop("/", "compatible"), 2) == EINVAL


def dump(blob):
    """What `dump_tree` of the samples says, by libfdt; without the addresses."""
    fdt = libfdt.FdtRo(blob)
    lines = []
    for i in range(fdt.num_mem_rsv()):
        start, size = fdt.get_mem_rsv(i)[-2:]
        lines.append(f"reserved {start:#x} {size:#x}")

    def visit(offset, parent):
        name = fdt.get_name(offset)
        lines.append("root" if parent is None else f"node {parent}/{name}")
        at = fdt.first_property_offset(offset, libfdt.QUIET_NOTFOUND)
        while at >= 0:
            prop = fdt.get_property_by_offset(at)
            lines.append(f" {prop.name} =" + "".join(f" {b:02x}" for b in prop[:256]))
            at = fdt.next_property_offset(at, libfdt.QUIET_NOTFOUND)
        below = []
        at = fdt.first_subnode(offset, libfdt.QUIET_NOTFOUND)
        while at >= 0:
            below.append(at)
            at = fdt.next_subnode(at, libfdt.QUIET_NOTFOUND)
        lines.extend(f" child {fdt.get_name(node).split('@')[0]}" for node in below)
        for node in below:
            visit(node, name)

    visit(0, None)
    return lines


def dumped():
    text = host().call(f"{SAMPLES}dump_tree")
    return [line for line in text.splitlines() if not line.startswith((" at ", " EINVAL", " ENOENT"))]


NAMES = st.text("abcdefgh,.-@#019", min_size=1, max_size=12)
VALUES = st.binary(max_size=20)
CONTENTS = st.recursive(
    st.dictionaries(NAMES, VALUES, max_size=4),
    lambda children: st.dictionaries(NAMES, VALUES | children, max_size=4),
    max_leaves=20,
)
RESERVATIONS = st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(1, 2**64 - 1)), max_size=3)


@given(CONTENTS, RESERVATIONS)
@example(BOARD, [])
def test_reads_what_libfdt_reads(nodes, reservations):
    blob = built(nodes, reservations)
    assert load(blob) == 0
    assert dumped() == dump(blob)


def test_nops_are_passed_over():
    blob = bytearray(built(BOARD))
    fdt = libfdt.Fdt(blob)
    fdt.setprop  # noqa: B018  the class has the writing functions
    chosen = fdt.path_offset("/chosen")
    libfdt.fdt_nop_property(blob, chosen, "odd")
    libfdt.fdt_nop_node(blob, libfdt.fdt_path_offset(blob, "/soc/bus"))
    assert load(bytes(blob)) == 0
    assert dumped() == dump(bytes(blob))


# Anything at all


def explored():
    """Walks everything there is to a tree that was accepted."""
    host().call(f"{SAMPLES}dump_tree")
    for name in ("compatible", "reg", "a"):
        host().call(f"{SAMPLES}strings_of", "/", name)
    host().errno(f"{FDT}by_phandle", tree(), 1)
    host().errno(f"{FDT}find", tree(), "/soc/bus@1/x")


@given(st.binary(max_size=300))
def test_any_bytes(data):
    assert load(data) == EINVAL


SOUND = built(BOARD, [(1, 2)])
WORDS = st.one_of(
    st.integers(0, 2**32 - 1),
    st.integers(0, 64),
    st.sampled_from([1, 2, 3, 4, 9, 0x8000_0000, 2**32 - 4]),
    st.integers(0, len(SOUND)),
)


@settings(max_examples=400)
@given(
    st.lists(st.tuples(st.integers(0, len(SOUND) // 4 - 1), WORDS), min_size=1, max_size=4), st.integers(0, len(SOUND))
)
def test_a_damaged_tree_does_no_harm(changes, missing):
    """Words of a sound tree are changed, the end may be cut off; the memory behind it belongs to nobody."""
    blob = bytearray(SOUND)
    for at, word in changes:
        struct.pack_into(">I", blob, at * 4, word)
    if missing < 200:
        del blob[len(blob) - missing :]
    if load(bytes(blob)) == 0:
        explored()


def test_many_random_damages():
    source = random.Random(1)
    accepted = 0
    for _ in range(3000):
        blob = bytearray(SOUND)
        for _ in range(source.randint(1, 6)):
            blob[source.randrange(len(blob))] = source.choice([0, 1, 2, 3, 4, 9, 0xFF, source.randrange(256)])
        if load(bytes(blob)) == 0:
            accepted += 1
            explored()
    assert accepted > 100


def header(**changes):
    """The sound tree with words of its header changed."""
    names = "magic total structure strings reservations version compatible cpu strings_size structure_size".split()
    blob = bytearray(SOUND)
    for name, value in changes.items():
        struct.pack_into(">I", blob, names.index(name) * 4, value)
    return bytes(blob)


@pytest.mark.parametrize(
    "changes",
    [
        {"magic": 0xEDFE0DD0},
        {"total": len(SOUND) + 1},
        {"total": 39},
        {"total": 0xFFFF_FFFF},
        {"structure": 57},
        {"structure": len(SOUND)},
        {"structure": 0xFFFF_FFFC},
        {"strings": len(SOUND)},
        {"strings_size": 3},
        {"strings_size": 0xFFFF_FFFF},
        {"reservations": len(SOUND) - 8},
        {"reservations": 0xFFFF_FFF8},
        {"version": 15},
        {"compatible": 18},
        {"structure_size": 12},
        {"structure_size": 0xFFFF_FFFF},
    ],
)
def test_a_bad_header_is_refused(changes):
    assert load(header(**changes)) == EINVAL


def test_version_16_does_not_say_how_large_the_structure_is():
    assert load(header(version=16, structure_size=0)) == 0
    assert host().call(f"{NODE}name", found("/soc/uart")) == "uart@1800"


def raw(structure, strings=b"a\0"):
    """A tree of just these blocks."""
    start = 56
    head = struct.pack(
        ">10I",
        0xD00DFEED,
        start + len(structure) + len(strings),
        start,
        start + len(structure),
        40,
        17,
        16,
        0,
        len(strings),
        len(structure),
    )
    return head + bytes(16) + structure + strings


BEGIN, STOP, PROP, NOP, END = (cells(n) for n in (1, 2, 3, 4, 9))
ROOT = BEGIN + bytes(4)
VALUE = PROP + cells(0, 0)


@pytest.mark.parametrize(
    ("structure", "code"),
    [
        (ROOT + STOP + END, 0),
        (NOP + ROOT + NOP + VALUE + NOP + STOP + NOP + END, 0),
        (ROOT * 32 + STOP * 32 + END, 0),
        (ROOT * 33 + STOP * 33 + END, EINVAL),
        (END, EINVAL),
        (ROOT + STOP, EINVAL),
        (ROOT + END, EINVAL),
        (ROOT + STOP + STOP + END, EINVAL),
        (ROOT + STOP + ROOT + STOP + END, EINVAL),
        (VALUE + ROOT + STOP + END, EINVAL),
        (ROOT + ROOT + STOP + VALUE + STOP + END, EINVAL),
        (ROOT + cells(5) + STOP + END, EINVAL),
        (ROOT + PROP + cells(0, 2) + STOP + END, EINVAL),
        (ROOT + PROP + cells(5, 0) + STOP + END, EINVAL),
        (ROOT + PROP + cells(0xFFFF_FFFC, 0) + STOP + END, EINVAL),
        (BEGIN + b"x" * 252 + bytes(4) + STOP + END, 0),
        (BEGIN + b"x" * 256 + bytes(4) + STOP + END, EINVAL),
        (BEGIN + b"xxxx", EINVAL),
    ],
)
def test_structures(structure, code):
    assert load(raw(structure)) == code


def test_a_long_chain_of_reservations_needs_its_end():
    blob = raw(ROOT + STOP + END)
    assert load(blob[:40] + struct.pack(">2Q", 1, 0) + blob[56:]) == EINVAL


def test_cells_that_make_no_number_are_refused():
    for address, size in [(3, 1), (0, 1), (1, 3), (2**31, 1), (2**32 - 1, 1)]:
        board = {"#address-cells": cells(address), "#size-cells": cells(size), "x": {"reg": bytes(48)}}
        assert load(built(board)) == 0
        assert host().errno(f"{NODE}raw_reg", found("/x"), 0) == EINVAL
        assert host().errno(f"{NODE}reg", found("/x"), 0) == EINVAL
    assert load(built({"#address-cells": b"abc", "x": {"reg": bytes(8)}})) == 0
    assert host().errno(f"{NODE}reg", found("/x"), 0) == EINVAL
