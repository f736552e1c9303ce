"""The serial console that ACPI's SPCR names: where it is found, how it is driven, and what is said of a bad table."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.common.drivers import acpi_writer as w
from tests.common.drivers import pci_model
from tests.common.host import host
from tests.x86.pc_devices import IO_APIC, IoApic, Pc, Uart

COM1, COM2, MEMORY = 0x3F8, 0x2F8, 0xFE03_6000
FIRST_LINE = "the first line"
STATE = (
    "hv.common.kernel.console.console",
    "hv.common.kernel.console_input.console_input",
    "hv.common.drivers.console_choice.choice",
    "hv.common.drivers.ns16550.port",
    "hv.common.drivers.ns16550.second_port",
    "hv.common.drivers.pci.configuration",
    "hv.x86.console.coms",
    "hv.x86.interrupts.interrupts",
    "hv.x86.ioapic.io_apics",
)
SERIAL_KINDS = {0: True, 1: True, 0x12: True, 2: False, 3: False, 0x0E: False, 0xFF: False}


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    for name in (*STATE, "hv.sim.machine.machine", "hv.sim.x86_devices.cpu", "hv.sim.physical.physical"):
        host().cleared(name)


def spcr(
    base: bytes, kind: int = 0, interrupts: int = 0, irq: int = 0, gsi: int = 0, baud: int = 7, **more: Any
) -> bytes:
    body = struct.pack("<B3x12sBBIBBBBBB", kind, base, interrupts, irq, gsi, baud, 0, 1, 0, 3, 0)
    pci = more.get("pci", (0xFFFF, 0xFFFF, 0, 0, 0))
    return w.table(b"SPCR", body + struct.pack("<HHBBBIBI", *pci, 0, 0, more.get("clock", 0)), more.get("revision", 2))


class Machine:
    """UARTs at both ports and in memory. A line is printed before anything is known, as a boot prints some."""

    def __init__(self, table: bytes | None, apart: int = 1, first: bool = True) -> None:
        for name in STATE:
            host().cleared(name)
        self.pc = pc = Pc()
        self.first, self.second, self.in_memory = Uart(), Uart(), Uart(apart)
        if first:
            pc.put_port(COM1, 8, self.first)
        pc.put_port(COM2, 8, self.second)
        pc.put(MEMORY, 8 * apart, self.in_memory)
        memory = w.PhysicalMap()
        memory.put(w.XSDT_AT, w.xsdt([] if table is None else [0x10_0000]))
        if table is not None:
            memory.put(0x10_0000, table)
        self.rsdp = w.rsdp(w.RSDT_AT, w.XSDT_AT, 2)
        self.say(FIRST_LINE)

    def say(self, line: str) -> None:
        host().call("hv.sim.samples.print_line", line)

    def start(self) -> Machine:
        self.pc.call("sim.x86_devices.prepare_console")
        self.pc.call("sim.x86_devices.find_console", host().bytes(self.rsdp)[0])
        return self

    @property
    def uarts(self) -> list[Uart]:
        return [self.first, self.second, self.in_memory]


def gas_of(uart: str, **more: int) -> bytes:
    if uart == "memory":
        return w.gas(0, more.get("bits", 8), more.get("access", 1), MEMORY)
    return w.gas(1, 8, 1, COM1 if uart == "first" else COM2)


def test_without_a_table_it_is_where_pcs_have_it():
    machine = Machine(None).start()
    assert machine.first.said() == [FIRST_LINE]
    machine.say("more")
    assert [uart.said() for uart in machine.uarts] == [["more"], [], []]


@pytest.mark.parametrize("kind", [kind for kind, is_16550 in SERIAL_KINDS.items() if is_16550])
def test_the_second_port(kind):
    """It has the log from its first line, and the first port the lines up to then."""
    machine = Machine(spcr(gas_of("second"), kind, baud=3)).start()
    told = [FIRST_LINE, "com1: I/O port 0x2f8, as ACPI's SPCR says"]
    assert machine.first.said() == told and machine.second.said() == told
    assert machine.second.speed == 9600 and machine.second.registers[3] == 3
    machine.say("more")
    assert [uart.said() for uart in machine.uarts] == [[], ["more"], []]


@pytest.mark.parametrize(
    ("bits", "access", "apart"), [(8, 0, 1), (8, 1, 1), (32, 0, 4), (32, 3, 4), (8, 3, 4), (32, 1, 4)]
)
def test_registers_in_memory(bits, access, apart):
    """Distance and width of an access come from the table, and the speed from their clock when it is named."""
    table = spcr(gas_of("memory", bits=bits, access=access), 0x12, baud=4, clock=1_843_200, revision=3)
    machine = Machine(table, apart).start()
    assert machine.in_memory.said() == [FIRST_LINE, f"com1: memory {MEMORY:#x}, as ACPI's SPCR says"]
    assert machine.in_memory.speed == 19200
    machine = Machine(spcr(gas_of("memory", bits=bits, access=access), 0x12, baud=4), apart).start()
    assert machine.in_memory.said() and machine.in_memory.speed == 9600, "without a clock it keeps its speed"


def test_a_console_in_memory_that_does_not_answer_is_mapped_no_more():
    machine = Machine(spcr(w.gas(0, 8, 1, MEMORY + 0x1000)))
    machine.start()
    assert machine.pc.windows == 0 and any("ENXIO" in line for line in machine.first.said())
    assert Machine(spcr(gas_of("memory"))).start().pc.windows == 1


def test_the_port_that_it_has_already():
    machine = Machine(spcr(gas_of("first"), baud=3)).start()
    assert machine.first.said() == [FIRST_LINE, "com1: I/O port 0x3f8, as ACPI's SPCR says"]
    assert machine.first.divisor == {0: 12, 1: 0}


def test_a_machine_that_has_no_first_port():
    machine = Machine(spcr(gas_of("second")), first=False).start()
    assert machine.second.said() == [FIRST_LINE, "com1: I/O port 0x2f8, as ACPI's SPCR says"]


@pytest.mark.parametrize(("option", "value"), [("com1", "115200,8n1"), ("console", "com2"), ("console", "none")])
def test_the_command_line_comes_first(option, value):
    machine = Machine(spcr(gas_of("memory")))
    pc = machine.pc
    pc.call("sim.x86_devices.prepare_console")
    module = "x86.console.com1" if option == "com1" else "common.drivers.console_choice.console"
    assert pc.call(module, value)
    pc.call("sim.x86_devices.find_console", host().bytes(machine.rsdp)[0])
    assert machine.in_memory.said() == []


# A table that is no good


NOTHING_THERE = 0x2E8


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (spcr(gas_of("second"))[:-1] + b"\x55", "ACPI's table of the serial console (SPCR) is damaged"),
        (w.table(b"SPCR", spcr(gas_of("second"))[36:79]), "ACPI's table of the serial console (SPCR) is damaged"),
        (spcr(gas_of("second"), pci=(1, 2, 0, 32, 0)), "ACPI's table of the serial console (SPCR) is damaged"),
        (spcr(gas_of("second"), 3), "names a console of interface type 0x3, which there is no driver for"),
        (spcr(gas_of("second"), 0xFF), "names a console of interface type 0xff, which there is no driver for"),
        (spcr(w.gas(1, 8, 1, NOTHING_THERE)), "names a console at 0x2e8 (PORT), which cannot be used: ENXIO"),
        (spcr(w.gas(1, 8, 1, 0xFFF9)), "names a console at 0xfff9 (PORT), which cannot be used: ENODEV"),
        (spcr(w.gas(1, 8, 1, 0x1_02F8)), "names a console at 0x102f8 (PORT), which cannot be used: ENODEV"),
        (spcr(w.gas(0, 8, 1, 0xFE00_0000)), "names a console at 0xfe000000 (MEMORY), which cannot be used: ENXIO"),
        (spcr(w.gas(0, 16, 2, MEMORY)), "names a console at 0xfe036000 (MEMORY), which cannot be used: ENODEV"),
        (spcr(w.gas(2, 8, 1, MEMORY)), "names a console at 0xfe036000 (PCI), which cannot be used: ENODEV"),
        (spcr(w.gas(0x7F, 8, 1, COM2)), "names a console at 0x2f8 (OTHER), which cannot be used: ENODEV"),
    ],
)  # fmt: skip
def test_a_bad_table_is_told_of_and_the_console_stays(table, said):
    machine = Machine(table).start()
    lines = machine.first.said()
    assert lines[0] == FIRST_LINE and len(lines) == 2 and said in lines[1] and "stays where it is" in lines[1]
    machine.say("more")
    assert [uart.said() for uart in machine.uarts] == [["more"], [], []]


def test_a_table_that_says_that_there_is_no_console():
    machine = Machine(spcr(w.gas(0, 0, 0, 0))).start()
    assert machine.first.said() == [FIRST_LINE]


SPCRS = st.builds(
    spcr,
    st.builds(
        w.gas,
        st.sampled_from([0, 1]) | st.integers(0, 255),
        st.sampled_from([0, 8, 16, 32, 64]) | st.integers(0, 255),
        st.integers(0, 4) | st.integers(0, 255),
        st.sampled_from([0, COM1, COM2, MEMORY, NOTHING_THERE, 0xFFFF, 1 << 52]) | st.integers(0, 2**64 - 1),
    ),
    st.sampled_from([0, 1, 0x12]) | st.integers(0, 255),
    interrupts=st.integers(0, 255),
    irq=st.integers(0, 255),
    gsi=st.sampled_from([0, 3, 23, 24, 2**32 - 1]) | st.integers(0, 2**32 - 1),
    baud=st.integers(0, 255),
    pci=st.just((0xFFFF, 0xFFFF, 0, 0, 0))
    | st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), *[st.integers(0, 255)] * 3),
    clock=st.sampled_from([0, 1, 15, 1_843_200, 2**32 - 1]),
    revision=st.integers(0, 5),
)


@given(SPCRS, st.sampled_from([1, 4]), st.binary(max_size=24), st.integers(0, 200))
@example(spcr(gas_of("second")), 1, b"", 0)
@example(spcr(gas_of("memory", bits=32, access=0), 0x12), 4, b"", 0)
@example(spcr(w.gas(1, 0, 0, COM2 - 4)), 1, b"", 0)
@settings(max_examples=300, deadline=None)
def test_whatever_a_table_says_there_is_a_console(table, apart, noise, at):
    """Its bytes are changed too, its sum then mended: the next line comes out of just one UART, which has the log."""
    body = bytearray(table[36:])
    for i, byte in enumerate(noise):
        body[(at + i) % len(body)] ^= byte
    machine = Machine(w.table(b"SPCR", bytes(body), table[8]), apart)
    apic = IoApic(machine.pc, IO_APIC, 24)
    machine.pc.call("sim.x86_devices.add_io_apic", IO_APIC, 0)
    pc = machine.pc
    pc.findings.clear()
    pc.call("sim.x86_devices.prepare_console")
    host().call("hv.sim.x86_devices.find_console", host().bytes(machine.rsdp)[0])
    wrong_layout = [finding for finding in pc.findings if "rest == 0" not in finding]
    assert not wrong_layout
    told = [bytes(uart.sent) for uart in machine.uarts]
    for uart in machine.uarts:
        uart.sent.clear()
    machine.say("more")
    has = [i for i, uart in enumerate(machine.uarts) if b"more" in uart.sent]
    assert len(has) == 1 and FIRST_LINE.encode() in told[has[0]]
    host().call("hv.x86.console.start_input", False)
    assert sum(not entry & 1 << 16 for entry in apic.entries) <= 1


# Interrupts


@pytest.mark.parametrize(
    ("interrupts", "irq", "gsi", "pci", "entry"),
    [
        (1, 3, 0, False, (3, 0x0000)),
        (2, 0, 20, False, (20, 0xA000)),
        (3, 3, 20, False, (3, 0x0000)),
        (3, 0, 20, False, (20, 0xA000)),
        (2, 0, 5, False, (5, 0x0000)),
        (1, 10, 0, True, (10, 0xA000)),
        (0, 3, 20, False, None),
        (2, 0, 24, False, None),
    ],
)
def test_what_is_typed_comes_by_the_interrupt_that_it_names(interrupts, irq, gsi, pci, entry):
    """An ISA interrupt by its edge, one of PCI by level, active low. Without one the port is polled."""
    place = (0x1234, 0x8086, 0, 3, 0) if pci else (0xFFFF, 0xFFFF, 0, 0, 0)
    machine = Machine(spcr(gas_of("second"), interrupts=interrupts, irq=irq, gsi=gsi, pci=place)).start()
    apic = IoApic(machine.pc, IO_APIC, 24)
    apic.lines = [True] * 24  # those that are active low are quiet
    machine.pc.call("sim.x86_devices.add_io_apic", IO_APIC, 0)
    machine.pc.call("x86.console.start_input", False)
    enabled = {i: e & 0xA000 for i, e in enumerate(apic.entries) if not e & 1 << 16}
    assert enabled == ({} if entry is None else dict([entry]))
    assert machine.second.registers[1] == (0 if entry is None else 1)


# A function on PCI


@pytest.mark.parametrize("space", ["ports", "memory"])
@pytest.mark.parametrize(("vendor", "device"), [(0x1B36, 2), (0x1B36, 3), (0x1B37, 2)])
def test_a_function_on_pci_is_let_answer(space, vendor, device):
    """When it is the one that the table names; what is at its place otherwise is left alone."""
    base = gas_of("memory") if space == "memory" else gas_of("second")
    where = pci_model.sbdf(0, 3)
    machine = Machine(spcr(base, pci=(device, vendor, 0, 3, 0)))
    function = pci_model.Function(vendor=0x1B36, device=2)
    configuration = pci_model.Ports({where: function})
    machine.pc.put_port(0xCF8, 8, configuration)
    host().variable("hv.common.drivers.pci.configuration").has_ports = True
    machine.start()
    right = (vendor, device) == (0x1B36, 2)
    assert function.get(4, 2) == ((1 if space == "ports" else 2) if right else 0)
    assert any("as ACPI's SPCR says" in line for line in machine.first.said())


def test_a_function_on_pci_that_is_the_first_port_and_had_been_silent():
    function = pci_model.Function(vendor=0x1B36, device=2)
    machine = Machine(spcr(gas_of("first"), pci=(2, 0x1B36, 0, 3, 0)))
    machine.first.answers = lambda: function.get(4, 2) == 1
    machine.pc.put_port(0xCF8, 8, pci_model.Ports({pci_model.sbdf(0, 3): function}))
    host().variable("hv.common.drivers.pci.configuration").has_ports = True
    machine.start()
    assert machine.first.said() == [FIRST_LINE, "com1: I/O port 0x3f8, as ACPI's SPCR says"]
