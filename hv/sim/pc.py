"""The boot information as the tests of its readers have it, told as text."""

from hv.common.lib.span import Bytes
from hv.common.lib.text import TextBuffer
from hv.common.mm.types import Paddr
from hv.lang import Embedded, Final, bounded, raises, u64
from hv.sim.physical import physical
from hv.x86.boot_information import BootInformation
from hv.x86.memory_map import MAX_ENTRIES
from hv.x86.multiboot2 import read_multiboot2
from hv.x86.pvh import read_pvh


class Pc:
    text: TextBuffer[131072]
    information: Embedded[BootInformation]


pc: Final = Pc()


@raises
def boot_by_multiboot2(structure: Bytes, limit: u64) -> None:
    pc.information.init(limit)
    read_multiboot2(structure, pc.information)


@raises
def boot_by_pvh(start: Paddr, limit: u64) -> None:
    pc.information.init(limit)
    read_pvh(physical, start, pc.information)


def information_text() -> str:
    found = pc.information
    text = pc.text
    text.clear()
    text.write(f"loader <{found.loader}> line <{found.command_line}> efi {found.efi_system_table:#x}\n")
    for module in found.each_module():
        text.write(f"module {module.start:#x} {module.bytes:#x} <{module.command_line}>\n")
    screen = found.screen
    text.write(f"screen {screen.kind.name} {screen.base:#x} {screen.pitch} {screen.width} {screen.height}")
    text.write(f" {screen.bits} {screen.red_at}+{screen.red_bits} {screen.green_at}+{screen.green_bits}")
    text.write(f" {screen.blue_at}+{screen.blue_bits}\n")
    text.write(f"rsdp {found.rsdp.length}\n")
    for i in bounded(found.map.count, MAX_ENTRIES):
        entry = found.map.entries[i]
        text.write(f"map {entry.start:#x} {entry.end:#x} {entry.kind.name}\n")
    return text.text
