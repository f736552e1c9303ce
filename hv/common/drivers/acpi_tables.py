"""ACPI's smaller tables: HPET, MCFG (PCI configuration in memory), SPCR (the serial console) and SRAT (affinities).

Source: IA-PC HPET Specification 1.0a, 3.2.4; PCI Firmware Specification 3.0, 4.1.2 (MCFG); Microsoft, Serial Port
Console Redirection Table, revision 4; ACPI Specification 6.5, 5.2.16 (SRAT).
"""

from hv.common.drivers.acpi import revision
from hv.common.drivers.acpi_entries import Entries, Entry
from hv.common.drivers.acpi_fadt import Register, generic_address
from hv.common.drivers.sbdf import Sbdf
from hv.common.lib.span import Bytes
from hv.common.mm.types import Paddr
from hv.lang import Errno, Final, Iterator, bounded, raises, u8, u16, u32, u64, value

# HPET
AT_HPET_BLOCK: Final[u64] = 36
AT_HPET_ADDRESS: Final[u64] = 40
HPET_BYTES: Final[u64] = 56


@value
class HpetTable:
    block: u32  # the general capabilities' lower half
    base: Register


@raises
def read_hpet(table: Bytes) -> HpetTable:
    """EINVAL: too short."""
    if not table.holds(0, HPET_BYTES):
        raise Errno.EINVAL
    return HpetTable(table.le32(AT_HPET_BLOCK), generic_address(table, AT_HPET_ADDRESS))


# MCFG
MCFG_HEAD: Final[u64] = 44
MCFG_ENTRY: Final[u64] = 16
MAX_MCFG: Final = 1024


@value
class ConfigurationSpace:
    """The configuration space of a range of PCI buses: 1 MiB for each, bus 0's at `base`."""

    base: Paddr
    segment: u16
    first_bus: u8
    last_bus: u8


@value
class Mcfg:
    table: Bytes

    def __iter__(self) -> Iterator[ConfigurationSpace]:
        """Whole entries with buses in them; what is left over at the table's end is none."""
        entries = (max(self.table.length, MCFG_HEAD) - MCFG_HEAD) // MCFG_ENTRY
        for i in bounded(min(entries, MAX_MCFG), MAX_MCFG):
            at = MCFG_HEAD + i * MCFG_ENTRY
            first = self.table.byte(at + 10)
            last = self.table.byte(at + 11)
            if first <= last:
                yield ConfigurationSpace(Paddr(self.table.le64(at)), self.table.le16(at + 8), first, last)


# SPCR
SPCR_BYTES: Final[u64] = 80  # of every revision
AT_SPCR_TYPE: Final[u64] = 36
AT_SPCR_ADDRESS: Final[u64] = 40
AT_INTERRUPT_KINDS: Final[u64] = 52
AT_PC_IRQ: Final[u64] = 53
AT_SPCR_GSI: Final[u64] = 54
AT_BAUD: Final[u64] = 58
AT_PCI_DEVICE: Final[u64] = 64
AT_PCI_VENDOR: Final[u64] = 66
AT_PCI_BUS: Final[u64] = 68  # and device and function
AT_PCI_SEGMENT: Final[u64] = 75
AT_UART_CLOCK: Final[u64] = 76
UART_CLOCK_SINCE: Final[u8] = 3
AT_PRECISE_BAUD: Final[u64] = 80
PRECISE_BAUD_SINCE: Final[u8] = 4

NS16550_FULL: Final[u8] = 0
NS16550_SUBSET: Final[u8] = 1  # before revision 2 of the table: a 16450
PL011: Final[u8] = 3
SBSA_32_BIT: Final[u8] = 0x0D
SBSA: Final[u8] = 0x0E
NS16550_GAS: Final[u8] = 0x12

DUAL_8259: Final[u8] = 1 << 0  # interrupt kinds
IO_APIC: Final[u8] = 1 << 1
ARM_GIC: Final[u8] = 1 << 3
NO_PCI: Final[u16] = 0xFFFF
LAST_DEVICE: Final[u8] = 31
LAST_FUNCTION: Final[u8] = 7


@value
class SerialConsole:
    kind: u8
    base: Register
    has_gsi: bool
    gsi: u32
    has_irq: bool
    irq: u8  # of the two 8259 controllers
    speed: u32  # bits a second; 0: as the firmware has set it
    clock: u32  # Hz of the UART's input; 0: not said
    is_pci: bool
    vendor: u16
    device: u16
    place: Sbdf

    @property
    def is_16550(self) -> bool:
        return self.kind == NS16550_FULL or self.kind == NS16550_SUBSET or self.kind == NS16550_GAS

    @property
    def is_pl011(self) -> bool:
        return self.kind == PL011 or self.kind == SBSA or self.kind == SBSA_32_BIT

    @raises
    def layout(self) -> tuple[u32, bool]:
        """Of a 16550 in memory: the logarithm of the distance between its registers, and whether they are accessed by
        32 bits. ENODEV: by 16 or 64 bits, which none is known to need."""
        apart: u32 = 2 if self.base.bits == 32 else 0
        match self.base.access:
            case 0:
                return apart, apart != 0
            case 1:
                return apart, False
            case 3:
                return 2, True
            case _:
                raise Errno.ENODEV


@raises
def read_spcr(table: Bytes) -> SerialConsole:
    """EINVAL: too short, or no PCI function has the name that it gives. ENODEV: redirection is off."""
    if not table.holds(0, SPCR_BYTES):
        raise Errno.EINVAL
    base = generic_address(table, AT_SPCR_ADDRESS)
    if not base.exists:
        raise Errno.ENODEV
    is_pci = table.le16(AT_PCI_DEVICE) != NO_PCI and table.le16(AT_PCI_VENDOR) != NO_PCI
    kinds = table.byte(AT_INTERRUPT_KINDS)
    return SerialConsole(
        kind=table.byte(AT_SPCR_TYPE),
        base=base,
        has_gsi=kinds & (IO_APIC | ARM_GIC) != 0,
        gsi=table.le32(AT_SPCR_GSI),
        has_irq=kinds & DUAL_8259 != 0,
        irq=table.byte(AT_PC_IRQ),
        speed=_speed(table),
        clock=table.le32(AT_UART_CLOCK) if revision(table) >= UART_CLOCK_SINCE else 0,
        is_pci=is_pci,
        vendor=table.le16(AT_PCI_VENDOR),
        device=table.le16(AT_PCI_DEVICE),
        place=_function(table) if is_pci else Sbdf(0),
    )


@raises
def _function(table: Bytes) -> Sbdf:
    """EINVAL: there can be none of that name."""
    device = table.byte(AT_PCI_BUS + 1)
    function = table.byte(AT_PCI_BUS + 2)
    if device > LAST_DEVICE or function > LAST_FUNCTION:
        raise Errno.EINVAL
    return Sbdf(
        segment=u32(table.byte(AT_PCI_SEGMENT)),
        bus=u32(table.byte(AT_PCI_BUS)),
        device=u32(device),
        function=u32(function),
    )


def _speed(table: Bytes) -> u32:
    if revision(table) >= PRECISE_BAUD_SINCE and table.holds(AT_PRECISE_BAUD, 4) and table.le32(AT_PRECISE_BAUD) != 0:
        return table.le32(AT_PRECISE_BAUD)
    match table.byte(AT_BAUD):
        case 3:
            return 9600
        case 4:
            return 19200
        case 6:
            return 57600
        case 7:
            return 115200
        case _:
            return 0


# SRAT
SRAT_HEAD: Final[u64] = 48
APIC_AFFINITY: Final = 0
APIC_AFFINITY_BYTES: Final[u64] = 16
MEMORY_AFFINITY: Final = 1
MEMORY_AFFINITY_BYTES: Final[u64] = 40
X2APIC_AFFINITY: Final = 2
X2APIC_AFFINITY_BYTES: Final[u64] = 24
AFFINITY_ENABLED: Final[u32] = 1 << 0
HOT_PLUGGABLE: Final[u32] = 1 << 1
WIDE_DOMAINS_SINCE: Final[u8] = 2  # before, a domain's number has one byte


@value
class CpuAffinity:
    apic_id: u32
    domain: u32  # of proximity
    enabled: bool


@value
class MemoryAffinity:
    start: Paddr
    bytes: u64
    domain: u32
    hot_pluggable: bool
    enabled: bool


class Srat:
    """A checked table; it refers to the table's bytes."""

    entries: Bytes
    wide: bool

    @raises
    def init(self, table: Bytes) -> None:
        """EINVAL: too short, or a structure in it is."""
        if not table.holds(0, SRAT_HEAD):
            raise Errno.EINVAL
        self.wide = revision(table) >= WIDE_DOMAINS_SINCE
        self.entries = table.rest(SRAT_HEAD)
        Entries(self.entries).check()
        for entry in Entries(self.entries):
            if entry.bytes.length < _affinity_bytes(entry.kind):
                raise Errno.EINVAL

    def cpus(self) -> Iterator[CpuAffinity]:
        for entry in Entries(self.entries):
            cpu = self._cpu(entry)
            if cpu.enabled:
                yield cpu

    def memory(self) -> Iterator[MemoryAffinity]:
        for entry in Entries(self.entries):
            memory = self._memory(entry)
            if memory.enabled:
                yield memory

    def _cpu(self, entry: Entry) -> CpuAffinity:
        bytes = entry.bytes
        if entry.kind == APIC_AFFINITY:
            upper = (bytes.le32(8) >> 8) << 8 if self.wide else 0
            return CpuAffinity(u32(bytes.byte(3)), u32(bytes.byte(2)) | upper, bytes.le32(4) & AFFINITY_ENABLED != 0)
        if entry.kind == X2APIC_AFFINITY:
            return CpuAffinity(bytes.le32(8), bytes.le32(4), bytes.le32(12) & AFFINITY_ENABLED != 0)
        return CpuAffinity(0, 0, False)

    def _memory(self, entry: Entry) -> MemoryAffinity:
        bytes = entry.bytes
        if entry.kind != MEMORY_AFFINITY:
            return MemoryAffinity(Paddr(0), 0, 0, False, False)
        domain = bytes.le32(2) if self.wide else u32(bytes.byte(2))
        flags = bytes.le32(28)
        enabled = flags & AFFINITY_ENABLED != 0
        hot = flags & HOT_PLUGGABLE != 0
        return MemoryAffinity(Paddr(bytes.le64(8)), bytes.le64(16), domain, hot, enabled)


def _affinity_bytes(kind: u8) -> u64:
    """The least length of a structure."""
    match kind:
        case 0:
            return APIC_AFFINITY_BYTES
        case 1:
            return MEMORY_AFFINITY_BYTES
        case 2:
            return X2APIC_AFFINITY_BYTES
        case _:
            return 2
