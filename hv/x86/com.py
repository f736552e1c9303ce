"""A serial port of a PC: where it is, by the command line's options or by ACPI, and how what is typed comes from it.

A port whose interrupt is not known, or not wanted, is polled.
"""

from hv.arch import now
from hv.common.drivers.acpi_fadt import Space
from hv.common.drivers.acpi_madt import Line, madt
from hv.common.drivers.acpi_tables import SerialConsole
from hv.common.drivers.console_choice import COMS, choice
from hv.common.drivers.ns16550 import REGISTERS, Ns16550
from hv.common.drivers.serial_options import OWN_IRQ, PC_BASE_BAUD, POLLED, Search, SerialOptions
from hv.common.kernel.log import info, warning
from hv.common.kernel.time import MILLISECOND, Ns
from hv.common.kernel.timer import Timer, TimerOwner
from hv.common.mm.physical import RegisterWindows
from hv.common.mm.types import Paddr
from hv.config import CONFIG_PCI
from hv.lang import Callable, Embedded, Errno, Final, array, raises, u8, u16, u32, u64
from hv.x86.interrupts import interrupts
from hv.x86.ipi import CpuPlace

if CONFIG_PCI:
    from hv.common.drivers.pci import configuration
    from hv.common.drivers.pci_bars import BarKind
    from hv.common.drivers.pci_serial import (
        UNKNOWN_IRQ,
        SerialPlace,
        enable,
        find_serial,
        open_bridge,
        place_serial,
        serial_at,
    )

NAMES: Final[array[str, COMS]] = array("com1", "com2")
PORTS: Final[array[u16, COMS]] = array(0x3F8, 0x2F8)
IRQS: Final[array[u32, COMS]] = array(4, 3)
ISA_IRQS: Final[u32] = 16
LAST_PORT: Final[u64] = 0xFFFF
POLL_PERIOD: Final = Ns(5 * MILLISECOND)


class Com(TimerOwner):
    """`irq` is ISA's below 16, otherwise a global interrupt."""

    index: u32
    windows: RegisterWindows  # for registers in memory
    options: Embedded[SerialOptions]
    uart: Ns16550
    running: bool
    irq: u32  # POLLED: none
    shared: bool  # it comes as PCI's do, by level, active low
    timer: Embedded[Timer]

    def init(self, index: u32, uart: Ns16550, windows: RegisterWindows) -> None:
        self.index = index
        self.windows = windows
        self.uart = uart
        self.options.init()
        self.irq = IRQS[index]

    @property
    def name(self) -> str:
        return NAMES[self.index]

    def start(self) -> None:
        """Where the options say, if a UART is there."""
        try:
            self._find()
        except Errno as e:
            if self.options.given:
                warning(f"{self.name}: there is no such serial port: {e.name}")
            return
        if not self.uart.answers:
            self._leave(self.uart)
            if self.options.given:
                warning(f"{self.name}: no UART answers there")
            return
        self._take_over()

    @raises
    def _find(self) -> None:
        """ENODEV: there is no such port. EINVAL: there is memory. ENOMEM."""
        asked = self.options
        if asked.search != Search.PLACE or asked.has_port:
            if CONFIG_PCI:
                find_on_pci(self)
            else:
                raise Errno.ENODEV
        else:
            self.place(asked.base if asked.base != 0 else u64(PORTS[self.index]))
            if asked.base > LAST_PORT:
                self.irq = POLLED
        if asked.irq != OWN_IRQ:
            self.irq = asked.irq

    @raises
    def place(self, base: u64) -> None:
        """An I/O port below 64 KiB, registers in memory from there on. EINVAL: there is memory. ENOMEM."""
        if base <= LAST_PORT:
            self.uart.at_ports(u16(base))
        else:
            asked = self.options
            address = self.windows.map(Paddr(base), REGISTERS << asked.shift)
            self.uart.in_memory(address, asked.shift, asked.width == 4)

    def _take_over(self) -> None:
        asked = self.options
        if asked.baud != 0:
            self.uart.set_line(asked.divisor, asked.frame)
        self.uart.mark = choice.marks[self.index]
        self.uart.take_over()
        self.running = True

    def _leave(self, uart: Ns16550) -> None:
        """There is none: registers in memory need no address."""
        if uart.address != 0:
            self.windows.unmap(uart.address)
            uart.at_ports(PORTS[self.index])

    @raises
    def move_to(self, named: SerialConsole) -> None:
        """To the UART of the SPCR, and says so. ENODEV: none can be there, since one has as many ports in a row, from a
        multiple of their number on, or none can be reached. ENXIO: none answers. EINVAL: there is memory, or no
        address. ENOMEM."""
        there = Ns16550()
        self._reach(named, there)
        if not there.answers:
            self._leave(there)
            raise Errno.ENXIO
        self._name_interrupt(named)
        space = "I/O port" if there.address == 0 else "memory"
        info(f"{self.name}: {space} {named.base.address:#x}, as ACPI's SPCR says")
        if self.running and there.is_at(self.uart):
            return
        self.uart.move_to(there)
        self._use_speed(named)
        self._take_over()

    @raises
    def _reach(self, named: SerialConsole, uart: Ns16550) -> None:
        if CONFIG_PCI and named.is_pci:
            open_named(named)
        if named.base.space == Space.PORT:
            if named.base.address > LAST_PORT or named.base.address % REGISTERS != 0:
                raise Errno.ENODEV
            uart.at_ports(u16(u64(named.base.address)))
        elif named.base.space == Space.MEMORY:
            shift, wide = named.layout()
            uart.in_memory(self.windows.map(Paddr(named.base.address), REGISTERS << shift), shift, wide)
        else:
            raise Errno.ENODEV

    def _name_interrupt(self, named: SerialConsole) -> None:
        self.shared = named.is_pci
        if named.has_irq and named.irq != 0:
            self.irq = u32(named.irq)
        else:
            self.irq = named.gsi if named.has_gsi else POLLED

    def _use_speed(self, named: SerialConsole) -> None:
        """One that cannot be made, or whose clock is not known, stays as the firmware has set it."""
        asked = self.options
        asked.baud = 0
        if named.clock != 0:
            asked.base_baud = max(named.clock // 16, 1)
        elif named.base.space == Space.PORT:
            asked.base_baud = PC_BASE_BAUD
        else:
            return
        asked.baud = named.speed
        if asked.baud != 0 and asked.divisor == 0:
            asked.baud = 0

    # Input

    def start_input(self, has_madt: bool, typed: Callable[[u32], None]) -> None:
        """Lets the console be typed on. `typed` handles its interrupt; `has_madt`: the MADT has been read."""
        if not self.running:
            return
        if self.irq != POLLED:
            try:
                line = self._line(has_madt)
                interrupts.claim(line, CpuPlace.on(0).apic_id, typed)
                self.uart.enable_input()
                return
            except Errno as e:
                warning(f"{self.name}: interrupt {self.irq} cannot be used: {e.name}; the port is polled")
        self.timer.init(self)
        self.timer.set(Ns(now() + POLL_PERIOD))

    def _line(self, has_madt: bool) -> Line:
        line = Line(self.irq, False, False)
        if has_madt and self.irq < ISA_IRQS:
            line = madt.isa_line(u8(self.irq))
            if line.gsi != self.irq or line.level or line.active_low or not self.shared:
                return line
        if self.shared or self.irq >= ISA_IRQS:
            return Line(self.irq, True, True)
        return line

    def expired(self, now: Ns) -> None:
        self.uart.interrupt()
        self.timer.set(Ns(now + POLL_PERIOD))


if CONFIG_PCI:

    @raises
    def find_on_pci(com: Com) -> None:
        """ENODEV: there is no such port. ENOMEM."""
        asked = com.options
        in_ports = asked.base != 0 and asked.base <= LAST_PORT
        if asked.has_bridge and in_ports:
            open_bridge(asked.bridge, u16(asked.base))
        if not asked.has_port:
            use(com, find_serial(asked.search == Search.AMT, com.index))
        elif in_ports:
            use(com, place_serial(asked.port, u16(asked.base)))
        else:
            use(com, serial_at(asked.port, 0))

    def open_named(named: SerialConsole) -> None:
        """Lets the function that the SPCR names answer at its addresses. Another one, at its place, is left alone."""
        found = configuration.identity(named.place)
        if found.vendor == named.vendor and found.device == named.device:
            enable(named.place, BarKind.MEMORY if named.base.space == Space.MEMORY else BarKind.PORTS)

    @raises
    def use(com: Com, place: SerialPlace) -> None:
        where = place.where
        name = com.name
        info(f"{name}: PCI {where.segment:04x}:{where.bus:02x}:{where.device:02x}.{where.function}, {place.base:#x}")
        com.place(place.base)
        com.irq = POLLED if place.irq == UNKNOWN_IRQ else u32(place.irq)
        com.shared = True
