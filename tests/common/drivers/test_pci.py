"""PCI: configuration space by ports and in memory, finding functions, sizes of their registers, capabilities and serial
ports, against functions that the tests lay out.
"""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.common.drivers.pci_model import Function, Machine, sbdf
from tests.common.host import EINVAL, ENOSPC, host

EEXIST, EIO = 17, 5
PCI = "hv.common.drivers.pci.Configuration."
SIM = "hv.sim.pci."
BASE = 0xB000_0000
WINDOWS = host().variable("hv.sim.controller.identity_windows")
NAMES = st.builds(sbdf, st.integers(0, 255), st.integers(0, 31), st.integers(0, 7))


def configuration():
    return host().variable("hv.common.drivers.pci.configuration")


def lines(name, *arguments):
    return host().call(f"{SIM}{name}", *arguments).splitlines()


def found():
    return [int(line.split()[0], 16) for line in lines("functions_text")]


def read(width, where, at):
    return host().call(f"{PCI}read{width}", configuration(), host().ffi.cast("unsigned int", where), at)


def write(width, where, at, value):
    host().call(f"{PCI}write{width}", configuration(), where, at, value)


@given(st.dictionaries(NAMES, st.booleans(), max_size=8))
def test_every_function_is_found_once_whose_device_has_a_function_0(layout):
    """By their multi-function bit; the bridges' numbers do not matter."""
    functions = {where: Function(multi=multi) for where, multi in layout.items()}
    Machine(functions)
    expected = []
    for where in sorted(functions):
        first = functions.get(where & ~7)
        if first is not None and (where & 7 == 0 or first.space[14] & 0x80):
            expected.append(where)
    assert found() == expected


def test_bridges_in_a_circle_do_no_harm():
    there, back = Function(kind=0x0604, header=1), Function(kind=0x0604, header=1)
    there.put(0x18, "<BBB", 0, 1, 1)
    back.put(0x18, "<BBB", 1, 0, 255)
    machine = Machine({sbdf(0, 1): there, sbdf(1, 1): back})
    assert found() == [sbdf(0, 1), sbdf(1, 1)]
    assert max(machine.asked.count(where) for where in set(machine.asked)) < 8


def test_identities():
    Machine(
        {
            sbdf(0, 0): Function(0x8086, 0x29C0, 0x0600, 0),
            sbdf(0, 1): Function(1, 2, 0x0604, 0, header=1),
            sbdf(0, 2): Function(1, 2, 0x0607, 0, header=2),
            sbdf(0, 3): Function(1, 2, 0xFF00, 0, header=0x55),
            sbdf(0, 4): Function(vendor=0),
        }
    )
    assert lines("functions_text") == [
        "0x0 0x8086 0x29c0 0x600 DEVICE",
        "0x8 0x1 0x2 0x604 BRIDGE",
        "0x10 0x1 0x2 0x607 CARDBUS",
        "0x18 0x1 0x2 0xff00 OTHER",
    ]


def test_a_machine_without_pci():
    Machine({}, ports=False)
    assert found() == []
    assert (read(8, 0, 0), read(16, 0, 0), read(32, 0, 0)) == (0xFF, 0xFFFF, 0xFFFF_FFFF)
    write(32, 0, 0x10, 0)
    Machine({})
    assert found() == []


@given(NAMES, st.integers(0, 63), st.binary(min_size=4, max_size=4))
def test_the_ports_reach_each_byte_of_the_first_256(where, register, data):
    function = Function()
    at = register * 4
    function.put(at, "<4s", data)
    Machine({where: function})
    for width, step in ((8, 1), (16, 2), (32, 4)):
        for offset in range(0, 4, step):
            assert read(width, where, at + offset) == int.from_bytes(data[offset : offset + step], "little")
    assert read(32, where, 0x100) == 0xFFFF_FFFF, "the ports do not reach so far"


@pytest.mark.parametrize("ports", [True, False])
def test_a_window_reaches_all_4096_bytes(ports):
    function = Function()
    function.put(0xFFC, "<I", 0x1234_5678)
    machine = Machine({sbdf(3, 4, 0): function, sbdf(3, 4, 0, segment=2): Function(device=7)}, ports)
    machine.functions[sbdf(3, 4, 5, segment=2)] = Function()
    assert machine.window(BASE, 0, 0, 7) == 0
    assert machine.window(1 << 40, 2, 2, 4) == 0
    assert read(32, sbdf(3, 4), 0xFFC) == 0x1234_5678
    assert read(16, sbdf(3, 4, segment=2), 2) == 7
    assert read(32, sbdf(1, 4, segment=2), 0) == 0xFFFF_FFFF, "no window shows that bus"
    assert found() == [sbdf(3, 4), sbdf(3, 4, segment=2)]


def test_windows_that_cannot_be():
    machine = Machine({sbdf(0, 0): Function()})
    assert machine.window(BASE + 1, 1, 0, 0) == EINVAL
    assert machine.window(2**64 - 4096, 1, 0, 255) == EINVAL
    machine.bases.clear()
    assert machine.window(BASE, 1, 16, 31) == 0
    for first, last in ((0, 16), (31, 40), (20, 20), (0, 255)):
        assert machine.window(BASE, 1, first, last) == EEXIST
    assert machine.window(BASE, 1, 32, 40) == 0


def test_more_windows_than_there_is_room_for():
    machine = Machine({}, ports=False)
    for segment in range(64):
        assert machine.window(BASE + (segment << 20), segment, 0, 0) == 0
    assert machine.window(1 << 40, 64, 0, 0) == ENOSPC


def test_a_window_that_shows_something_else_than_the_ports_is_refused():
    machine = Machine({sbdf(0, 31): Function()})
    machine.in_memory = {}
    before = WINDOWS.mapped
    assert machine.window(BASE, 0, 0, 255) == EIO
    assert WINDOWS.mapped == before, "it is not mapped any more"
    assert read(16, sbdf(0, 31), 0) == 0x1234, "the ports still do"


# Base address registers


@given(st.data())
def test_sizing_leaves_everything_as_it_was(data):
    """Sizes are right for every power of two, and the function answers at no address meanwhile."""
    bars, told, wide = [], [], []
    while len(bars) < 6:
        kind = data.draw(st.sampled_from(["none", "ports", "memory", "wide"]))
        if kind == "wide" and len(bars) < 5:
            wide.append(len(bars))
            size = 1 << data.draw(st.integers(4, 62))
            base = data.draw(st.integers(0, (1 << 64) - 1)) & -size & (1 << 64) - 1
            bars += [(base & 0xFFFF_FFF0 | 4, size), (base >> 32, size)]
            told += [f"MEMORY {base:#x} {size:#x} True False", "NONE 0x0 0x0 False False"]
        elif kind == "ports":
            size = 1 << data.draw(st.integers(2, 15))
            base = data.draw(st.integers(0, 0xFFFF)) & -size & 0xFFFF
            bars.append((base | 1, size))
            told.append(f"PORTS {base:#x} {size:#x} False False")
        elif kind == "memory":
            size = 1 << data.draw(st.integers(4, 31))
            base = data.draw(st.integers(0, 0xFFFF_FFFF)) & -size & 0xFFFF_FFFF
            bars.append((base | 8, size))
            told.append(f"MEMORY {base:#x} {size:#x} False True")
        else:
            bars.append((0, 0))
            told.append("NONE 0x0 0x0 False False")
    function = Function(bars=bars)
    for i in wide:
        size = bars[i][1]
        function.writable[0x10 + 4 * i] = -size & 0xFFFF_FFF0
        function.writable[0x14 + 4 * i] = -size >> 32 & 0xFFFF_FFFF
    command = data.draw(st.integers(0, 0x7FF))
    function.put(4, "<H", command)
    before = bytes(function.space)
    Machine({8: function})
    assert lines("bars_text", 8) == told
    assert bytes(function.space) == before and not function.decoded_while_sizing


def test_registers_that_cannot_be():
    """A kind that is reserved, and a wide one that has no other half."""
    function = Function(bars=[(0xFE00_0006, 4096), (0, 0), (0, 0), (0, 0), (0, 0), (0xFE00_0004, 4096)])
    Machine({8: function})
    assert set(lines("bars_text", 8)) == {"NONE 0x0 0x0 False False"}
    assert set(lines("bars_text", 16)) == {"NONE 0x0 0x0 False False"}, "nobody is there"


def test_headers_with_fewer_registers():
    bars = [(0xFE00_0000, 4096)] * 6
    Machine({8: Function(header=1, bars=bars), 16: Function(header=2, bars=bars)})
    assert [line.split()[0] for line in lines("bars_text", 8)] == ["MEMORY"] * 2 + ["NONE"] * 4
    assert [line.split()[0] for line in lines("bars_text", 16)] == ["NONE"] * 6


# Capabilities


def test_capabilities():
    Machine(
        {
            8: Function().capability((0x40, 1, 0x60), (0x60, 5, 0x83), (0x80, 0x10, 0)),
            16: Function(header=2).capability((0x80, 1, 0), at=0x14),
            24: Function(),
            32: Function().capability((0x40, 1, 0x40)),
            40: Function().capability((0xFC, 9, 0x3C)),
        }
    )
    assert lines("capabilities_text", 8) == ["1 0x40", "5 0x60", "16 0x80"]
    assert lines("capabilities_text", 16) == ["1 0x80"]
    assert lines("capabilities_text", 24) == []
    assert lines("capabilities_text", 32) == ["1 0x40"] * 48
    assert lines("capabilities_text", 40) == ["9 0xfc"]
    assert lines("capabilities_text", 48) == ["255 0xfc"] * 48, "nobody is there: all ones"


@given(st.binary(min_size=256, max_size=256))
@example(bytes(256))
def test_any_bytes_end_the_walks(data):
    function = Function()
    function.space[:256] = data
    Machine({8: function, 0: function})
    assert len(lines("capabilities_text", 8)) <= 48
    assert len(lines("bars_text", 8)) == 6
    assert len(found()) <= 16


# Serial ports


def serial(index=0, amt=False):
    return host().call(f"{SIM}serial_text", amt, index)


def test_serial_ports_are_counted_over_the_cards():
    """One range of I/O ports is divided by eight; several of eight are a port each; memory is one port."""
    eight = [(0xD001, 8), (0xD101, 64), (0xD201, 8)]
    machine = Machine(
        {
            sbdf(0, 1): Function(kind=0x0200, bars=[(0xC001, 32)]),
            sbdf(0, 2): Function(bars=[(0xC101, 16)], irq=11),
            sbdf(1, 0): Function(kind=0x0702, bars=eight, irq=10),
            sbdf(2, 0): Function(bars=[(0xFE00_0000, 4096)], irq=255),
        }
    )
    assert [serial(i) for i in range(6)] == [
        "0x10 False 0xc100 11",
        "0x10 False 0xc108 11",
        "0x100 False 0xd000 10",
        "0x100 False 0xd200 10",
        "0x200 True 0xfe000000 255",
        "ENODEV",
    ]
    commands = [machine.functions[w].get(4, 2) & 3 for w in sorted(machine.functions)]
    assert commands == [0, 1, 1, 2], "those in use answer, at what they are used by"


def test_amt_counts_when_it_is_asked_for():
    """It is Intel's at its place; another vendor's there is a port like any other."""
    for vendor, answers in ((0x8086, ("ENODEV", "0xb3 False 0xf0e0 255")), (0x1234, ("0xb3 False 0xf0e0 255",) * 2)):
        engine, port = Function(kind=0x0780, multi=True), Function(vendor, bars=[(0xF0E1, 8)])
        Machine({sbdf(0, 0x16, 0): engine, sbdf(0, 0x16, 3): port})
        assert (serial(), serial(amt=True)) == answers


def test_a_port_without_an_address():
    Machine({8: Function(bars=[(1, 8)])})
    assert serial() == "ENODEV"
