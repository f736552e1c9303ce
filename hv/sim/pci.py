"""What the tests of PCI ask: all functions, their base address registers and capabilities, as text."""

from hv.common.drivers.acpi_tables import ConfigurationSpace
from hv.common.drivers.pci import configuration
from hv.common.drivers.pci_bars import Bars
from hv.common.drivers.pci_serial import find_serial
from hv.common.drivers.sbdf import Sbdf
from hv.common.lib.text import TextBuffer
from hv.common.mm.types import Paddr
from hv.lang import Errno, Final, raises, u8, u16, u32, u64
from hv.sim.controller import identity_windows


class Told:
    text: TextBuffer[262144]


told: Final = Told()


@raises
def add_space(base: u64, segment: u16, first: u8, last: u8) -> None:
    configuration.add(ConfigurationSpace(Paddr(base), segment, first, last), identity_windows)


def functions_text() -> str:
    text = told.text
    text.clear()
    for where in configuration.functions():
        found = configuration.identity(where)
        text.write(f"{where.raw:#x} {found.vendor:#x} {found.device:#x} {found.class_code:#x} {found.header.name}\n")
    return text.text


def bars_text(where: u32) -> str:
    text = told.text
    text.clear()
    bars = Bars()
    bars.read(Sbdf(where))
    for bar in bars.all:
        text.write(f"{bar.kind.name} {bar.address:#x} {bar.bytes:#x} {bar.wide} {bar.prefetchable}\n")
    return text.text


def capabilities_text(where: u32) -> str:
    text = told.text
    text.clear()
    for capability in configuration.capabilities(Sbdf(where)):
        text.write(f"{capability.id} {capability.at:#x}\n")
    return text.text


def serial_text(with_amt: bool, index: u32) -> str:
    text = told.text
    text.clear()
    try:
        found = find_serial(with_amt, index)
        text.write(f"{found.where.raw:#x} {found.in_memory} {found.base:#x} {found.irq}")
    except Errno as e:
        text.write(f"{e.name}")
    return text.text
