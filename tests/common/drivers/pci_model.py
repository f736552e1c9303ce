"""PCI functions as a test lays them out: configuration space by the two ports and in memory."""

from __future__ import annotations

import struct

from tests.common.host import host

ALL_ONES = (1 << 32) - 1


def sbdf(bus: int, device: int, function: int = 0, segment: int = 0) -> int:
    return segment << 16 | bus << 8 | device << 3 | function


class Function:
    """Registers keep what their writable bits are given; `bars` are (register's fixed bits, size in bytes)."""

    def __init__(self, vendor=0x1234, device=1, kind=0x0700, interface=2, header=0, bars=(), irq=0, multi=False):
        self.space = bytearray(4096)
        self.put(0, "<HH", vendor, device)
        self.put(8, "<BBH", 1, interface, kind)
        self.put(14, "<B", header | multi << 7)
        self.put(60, "<B", irq)
        self.put(6, "<H", 0xFFEF)  # status: every bit that is cleared by writing a one is set
        self.writable = {4: 0x7FF}  # by aligned register, 32 bits
        self.clearable = {4: 0xF900_0000}
        if header == 1:
            self.writable[0x1C] = 0xF0F0
        for i, (value, size) in enumerate(bars):
            self.put(0x10 + 4 * i, "<I", value)
            flags = 3 if value & 1 else 15
            self.writable[0x10 + 4 * i] = 0 if size == 0 else -size & ALL_ONES & ~flags if size < 1 << 32 else 0
        self.decoded_while_sizing = False

    def put(self, at: int, form: str, *values: int) -> None:
        struct.pack_into(form, self.space, at, *values)

    def get(self, at: int, width: int) -> int:
        return int.from_bytes(self.space[at : at + width], "little")

    def capability(self, *chain: tuple[int, int, int], at=0x34) -> Function:
        """(place, id, next) of each; the header points to the first."""
        self.put(6, "<H", self.get(6, 2) | 1 << 4)
        self.put(at, "<B", chain[0][0])
        for place, number, after in chain:
            self.put(place, "<BB", number, after)
        return self

    def write(self, at: int, width: int, value: int) -> None:
        register, shift = at & ~3, (at & 3) * 8
        lanes = ((1 << 8 * width) - 1) << shift
        bits = value << shift
        if 0x10 <= register < 0x28 and self.get(4, 2) & 3 and bits & lanes == ALL_ONES:
            self.decoded_while_sizing = True
        old = self.get(register, 4)
        writable = self.writable.get(register, 0) & lanes
        new = old & ~writable | bits & writable
        new &= ~(self.clearable.get(register, 0) & lanes & bits)
        self.put(register, "<I", new)


class Ports:
    """The two registers at 0xCF8 and 0xCFC, from the first of which `at` counts."""

    def __init__(self, functions: dict[int, Function]) -> None:
        self.functions = functions
        self.selected = 0
        self.asked: list[int] = []

    def read(self, at: int, width: int) -> int:
        assert 4 <= at and at + width <= 8 and self.selected >> 31
        where = self.selected >> 8 & 0xFFFF
        self.asked.append(where)
        function = self.functions.get(where)
        return (1 << 8 * width) - 1 if function is None else function.get((self.selected & 0xFC) + at - 4, width)

    def write(self, at: int, width: int, value: int) -> None:
        if at == 0:
            assert width == 4 and value & 0x7F00_0003 == 0
            self.selected = value
            return
        assert 4 <= at and at + width <= 8
        function = self.functions.get(self.selected >> 8 & 0xFFFF)
        if function is not None:
            function.write((self.selected & 0xFC) + at - 4, width, value)


class Machine:
    """The functions by their names. `bases`: (segment, first bus, last bus) to where bus 0's would lie in memory."""

    def __init__(self, functions: dict[int, Function], ports: bool = True) -> None:
        self.functions = functions
        self.in_memory = functions
        self.bases: dict[tuple[int, int, int], int] = {}
        self.ports = Ports(functions)
        self.asked = self.ports.asked
        self.machine = host().cleared("hv.sim.machine.machine")
        configuration = host().cleared("hv.common.drivers.pci.configuration")
        configuration.has_ports = ports
        ffi = host().ffi
        self.kept = [
            ffi.callback("unsigned int(unsigned short, unsigned char)", lambda p, w: self.ports.read(p - 0xCF8, w)),
            ffi.callback(
                "void(unsigned short, unsigned char, unsigned int)", lambda p, w, v: self.ports.write(p - 0xCF8, w, v)
            ),
            ffi.callback("unsigned int(unsigned long)", self._read_memory),
            ffi.callback("void(unsigned long, unsigned int)", self._write_memory),
        ]
        self.machine.port_read, self.machine.port_written = self.kept[:2]
        self.machine.register_read, self.machine.register_written = self.kept[2:]
        Machine.running = self  # the callbacks live as long as it does

    def window(self, base: int, segment: int, first: int, last: int) -> int:
        """Tells the hypervisor of a window: its errno."""
        self.bases[segment, first, last] = base
        return host().errno("hv.sim.pci.add_space", base, segment, first, last)

    def _place(self, address: int) -> tuple[int, int]:
        for (segment, first, last), base in self.bases.items():
            if base + (first << 20) <= address < base + (last + 1 << 20):
                return segment << 16 | address - base >> 12, address & 0xFFF
        raise AssertionError(f"{address:#x} is no configuration space")

    def _read_memory(self, address: int) -> int:
        """The simulated machine does not tell the width: what is asked for lies in the lowest bits."""
        where, at = self._place(address)
        self.asked.append(where)
        function = self.in_memory.get(where)
        return (1 << 8 * (4 - at % 4)) - 1 if function is None else function.get(at, 4 - at % 4)

    def _write_memory(self, address: int, value: int) -> None:
        """The command register is written alone, any other with all that follows of its 32 bits."""
        where, at = self._place(address)
        function = self.in_memory.get(where)
        if function is not None:
            function.write(at, 2 if at == 4 else 4 - at % 4, value)
