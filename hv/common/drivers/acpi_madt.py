"""The MADT: local APICs, IO-APICs, and how the old interrupt lines come to them.

Source: ACPI Specification 6.5, 5.2.12.
"""

from hv.common.drivers.acpi import revision
from hv.common.drivers.acpi_entries import Entries, Entry
from hv.common.lib.span import Bytes
from hv.common.mm.types import Paddr
from hv.lang import Bits, Errno, Field, Final, Iterator, U8Enum, raises, u8, u16, u32, u64, value

HEAD: Final[u64] = 44  # bytes before the list
AT_APIC_ADDRESS: Final = 36
AT_FLAGS: Final = 40
PCAT_COMPATIBLE: Final[u32] = 1 << 0

# Types of structures (table 5.21) with the least length of each.
LOCAL_APIC: Final = 0
LOCAL_APIC_BYTES: Final[u64] = 8
IO_APIC: Final = 1
IO_APIC_BYTES: Final[u64] = 12
OVERRIDE: Final = 2
OVERRIDE_BYTES: Final[u64] = 10
NMI_SOURCE: Final = 3
NMI_SOURCE_BYTES: Final[u64] = 8
LOCAL_NMI: Final = 4
LOCAL_NMI_BYTES: Final[u64] = 6
ADDRESS_OVERRIDE: Final = 5
ADDRESS_OVERRIDE_BYTES: Final[u64] = 12
LOCAL_X2APIC: Final = 9
LOCAL_X2APIC_BYTES: Final[u64] = 16
X2APIC_NMI: Final = 10
X2APIC_NMI_BYTES: Final[u64] = 12

ENABLED: Final[u32] = 1 << 0
ONLINE_CAPABLE: Final[u32] = 1 << 1
ONLINE_CAPABLE_SINCE: Final[u8] = 5  # revision of the table: before, the bit is reserved
NO_APIC_ID: Final[u32] = 0xFF  # of a local APIC structure that describes nothing
EVERY_CPU: Final[u32] = 0xFFFF_FFFF  # as a processor's UID
ISA_LINES: Final = 16


class Polarity(U8Enum):
    BUS = 0  # as the bus has it: active high on ISA
    HIGH = 1
    RESERVED = 2
    LOW = 3


class TriggerMode(U8Enum):
    BUS = 0  # as the bus has it: edge on ISA
    EDGE = 1
    RESERVED = 2
    LEVEL = 3


class IntiFlags(Bits[u16]):
    """MPS INTI flags (5.2.12.5)."""

    polarity = Field(1, 0, of=Polarity)
    trigger = Field(3, 2, of=TriggerMode)


@value
class LocalApic:
    apic_id: u32
    uid: u32  # the processor's number in the namespace
    enabled: bool  # to be used now
    online_capable: bool  # not now, but it may come to life while the machine runs


@value
class IoApicEntry:
    id: u8
    address: Paddr
    first: u32  # the global interrupt of its input 0


@value
class Line:
    """Where an interrupt line comes in, and how it behaves. On ISA the bus's own way is an edge, active high."""

    gsi: u32
    active_low: bool
    level: bool


@value
class Nmi:
    uid: u32  # EVERY_CPU, or the processor's number
    lint: u8  # input of the local APIC
    active_low: bool
    level: bool


class Madt:
    """A checked table; it refers to the table's bytes."""

    apic_address: Paddr  # of the local APICs' registers
    has_8259: bool  # two old controllers, which have to be masked
    revision: u8
    entries: Bytes

    @raises
    def init(self, table: Bytes) -> None:
        """EINVAL: too short, or a structure in it is."""
        if not table.holds(0, HEAD):
            raise Errno.EINVAL
        self.revision = revision(table)
        self.has_8259 = table.le32(AT_FLAGS) & PCAT_COMPATIBLE != 0
        self.entries = table.rest(HEAD)
        Entries(self.entries).check()
        for entry in Entries(self.entries):
            if entry.bytes.length < least_length(entry.kind):
                raise Errno.EINVAL
        self.apic_address = Paddr(u64(table.le32(AT_APIC_ADDRESS)))
        for entry in Entries(self.entries):
            if entry.kind == ADDRESS_OVERRIDE:
                self.apic_address = Paddr(entry.bytes.le64(4))

    def local_apics(self) -> Iterator[LocalApic]:
        """Both kinds of structure, in the table's order. A CPU whose id fits a byte may stand in both."""
        for entry in Entries(self.entries):
            apic = self._local_apic(entry)
            if apic.enabled or apic.online_capable:
                yield apic

    def io_apics(self) -> Iterator[IoApicEntry]:
        for entry in Entries(self.entries):
            if entry.kind == IO_APIC:
                yield IoApicEntry(entry.bytes.byte(2), Paddr(u64(entry.bytes.le32(4))), entry.bytes.le32(8))

    def isa_line(self, irq: u8) -> Line:
        """Where ISA's interrupt arrives: as an override has it, otherwise at the global interrupt of its number."""
        for entry in Entries(self.entries):
            if entry.kind == OVERRIDE and entry.bytes.byte(2) == 0 and entry.bytes.byte(3) == irq:
                return line(entry.bytes.le32(4), IntiFlags(entry.bytes.le16(8)))
        return Line(u32(irq), False, False)

    def nmi_sources(self) -> Iterator[Line]:
        """Inputs of IO-APICs that are NMIs."""
        for entry in Entries(self.entries):
            if entry.kind == NMI_SOURCE:
                yield line(entry.bytes.le32(4), IntiFlags(entry.bytes.le16(2)))

    def local_nmis(self) -> Iterator[Nmi]:
        """Inputs of local APICs that are NMIs."""
        for entry in Entries(self.entries):
            if entry.kind == LOCAL_NMI or entry.kind == X2APIC_NMI:
                yield _local_nmi(entry)

    def _local_apic(self, entry: Entry) -> LocalApic:
        """Neither enabled nor capable of it: the structure is none of a local APIC, or of an empty socket."""
        bytes = entry.bytes
        flags: u32 = 0
        apic_id: u32 = 0
        uid: u32 = 0
        if entry.kind == LOCAL_APIC and u32(bytes.byte(3)) != NO_APIC_ID:
            apic_id = u32(bytes.byte(3))
            uid = u32(bytes.byte(2))
            flags = bytes.le32(4)
        elif entry.kind == LOCAL_X2APIC and bytes.le32(4) != EVERY_CPU:
            apic_id = bytes.le32(4)
            uid = bytes.le32(12)
            flags = bytes.le32(8)
        enabled = flags & ENABLED != 0
        capable = not enabled and flags & ONLINE_CAPABLE != 0 and self.revision >= ONLINE_CAPABLE_SINCE
        return LocalApic(apic_id, uid, enabled, capable)


madt: Final = Madt()


def least_length(kind: u8) -> u64:
    """Bytes of a structure, at least; those of types that are not used here may be as short as their head."""
    match kind:
        case 0:
            return LOCAL_APIC_BYTES
        case 1:
            return IO_APIC_BYTES
        case 2:
            return OVERRIDE_BYTES
        case 3:
            return NMI_SOURCE_BYTES
        case 4:
            return LOCAL_NMI_BYTES
        case 5:
            return ADDRESS_OVERRIDE_BYTES
        case 9:
            return LOCAL_X2APIC_BYTES
        case 10:
            return X2APIC_NMI_BYTES
        case _:
            return 2


def line(gsi: u32, flags: IntiFlags) -> Line:
    return Line(gsi, flags.polarity == Polarity.LOW, flags.trigger == TriggerMode.LEVEL)


def _local_nmi(entry: Entry) -> Nmi:
    bytes = entry.bytes
    if entry.kind == LOCAL_NMI:
        flags = IntiFlags(bytes.le16(3))
        uid = u32(bytes.byte(2))
        if uid == 0xFF:
            uid = EVERY_CPU
        return Nmi(uid, bytes.byte(5), flags.polarity == Polarity.LOW, flags.trigger == TriggerMode.LEVEL)
    wide = IntiFlags(bytes.le16(2))
    return Nmi(bytes.le32(4), bytes.byte(8), wide.polarity == Polarity.LOW, wide.trigger == TriggerMode.LEVEL)
