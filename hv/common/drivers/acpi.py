"""ACPI's tables: the root pointer, and the tables that it leads to.

`Acpi.init` reads the root table and keeps it; `tables` gives those of a signature, each checked for its length and
sum. What firmware wrote is taken for nothing else: the modules that read one table (acpi_madt, acpi_fadt, …) check
every length in it.

Source: ACPI Specification 6.5, 5.2.5 (RSDP), 5.2.6 (header), 5.2.7 (RSDT), 5.2.8 (XSDT).
"""

from hv.common.lib.span import Bytes
from hv.common.mm.physical import PhysicalMemory
from hv.common.mm.types import Paddr
from hv.lang import Errno, Final, Iterator, bounded, raises, truncate, u8, u32, u64, value

HEADER: Final = 36  # bytes in front of every table
AT_LENGTH: Final = 4
AT_REVISION: Final = 8
MAX_TABLE: Final = 0x100_0000  # bytes; longer ones are taken for damage
MAX_TABLES: Final = 512

RSDP_SIGNATURE: Final = "RSD PTR "
RSDP_OLD: Final = 20  # bytes of revision 0
RSDP_NEW: Final = 36
AT_RSDP_REVISION: Final = 15
AT_RSDT: Final = 16
AT_RSDP_LENGTH: Final = 20
AT_XSDT: Final = 24

# Where a BIOS leaves the RSDP (5.2.5.1): at a 16-byte boundary in the first KiB of its extended data area, or here.
EBDA_SEGMENT: Final = Paddr(0x40E)
EBDA_BYTES: Final[u64] = 0x400
BIOS_START: Final = Paddr(0xE_0000)
BIOS_BYTES: Final[u64] = 0x2_0000
STEP: Final = 16


@value
class RootTable:
    """Where the RSDT or XSDT lies, and the size of its entries in bytes."""

    start: Paddr
    entry: u32


class Acpi:
    """The tables of a machine. Those with wrong sums or lengths are passed over, and counted in `damaged` whenever
    they are looked for."""

    memory: PhysicalMemory
    root: Bytes
    entry: u32  # bytes of an entry of the root table; 0: there are no tables
    damaged: u32

    @raises
    def init(self, memory: PhysicalMemory, rsdp: Bytes) -> None:
        """From a root pointer. EINVAL: it, or the table that it names, is malformed."""
        found = read_rsdp(rsdp)
        self.memory = memory
        self.damaged = 0
        self.entry = 0
        self.root = checked_table(memory, found.start)
        if not has_signature(self.root, "XSDT" if found.entry == 8 else "RSDT"):
            raise Errno.EINVAL
        self.entry = found.entry

    @property
    def count(self) -> u32:
        """How many entries the root table has."""
        if self.entry == 0:
            return 0
        return u32(min((self.root.length - HEADER) // u64(self.entry), MAX_TABLES))

    def address(self, index: u32) -> Paddr:
        """Where an entry of the root table points."""
        at = HEADER + u64(index) * u64(self.entry)
        return Paddr(self.root.le64(at) if self.entry == 8 else u64(self.root.le32(at)))

    def tables(self, signature: str) -> Iterator[Bytes]:
        """Every sound table of the signature, headers included, in the root table's order."""
        for i in bounded(self.count, MAX_TABLES):
            table = self._table(i, signature)
            if table.length != 0:
                yield table

    @raises
    def find(self, signature: str) -> Bytes:
        """The first sound one. EINVAL: there are only damaged ones. ENOENT: none."""
        before = self.damaged
        for table in self.tables(signature):
            return table
        if self.damaged != before:
            raise Errno.EINVAL
        raise Errno.ENOENT

    @raises
    def table_at(self, start: Paddr, signature: str) -> Bytes:
        """A table that another one points to, such as the DSDT. EINVAL: it is malformed, or another."""
        table = checked_table(self.memory, start)
        if not has_signature(table, signature):
            raise Errno.EINVAL
        return table

    def _table(self, index: u32, signature: str) -> Bytes:
        """No bytes: the entry points to another table, to nothing, or to a damaged table."""
        start = self.address(index)
        if not has_signature(_shown(self.memory, start, HEADER), signature):
            return Bytes(0, 0)
        try:
            return checked_table(self.memory, start)
        except Errno:
            self.damaged += 1
            return Bytes(0, 0)


acpi: Final = Acpi()


@raises
def find_rsdp(memory: PhysicalMemory) -> Bytes:
    """The root pointer that a BIOS left. ENOENT: there is none. EINVAL: memory below 1 MiB cannot be read."""
    segment = memory.view(EBDA_SEGMENT, 2).le16(0)
    if segment != 0:
        found = _search(_shown(memory, Paddr(u64(segment) << 4), EBDA_BYTES))
        if found.length != 0:
            return found
    found = _search(memory.view(BIOS_START, BIOS_BYTES))
    if found.length == 0:
        raise Errno.ENOENT
    return found


def _shown(memory: PhysicalMemory, start: Paddr, length: u64) -> Bytes:
    """A view that there may not be: no bytes then."""
    try:
        return memory.view(start, length)
    except Errno:
        return Bytes(0, 0)


def _search(area: Bytes) -> Bytes:
    """The first sound root pointer at a 16-byte step; no bytes when there is none."""
    for i in bounded(area.length // STEP, BIOS_BYTES // STEP):
        candidate = area.rest(i * STEP)
        try:
            read_rsdp(candidate)
            return candidate
        except Errno:
            pass
    return Bytes(0, 0)


@raises
def read_rsdp(rsdp: Bytes) -> RootTable:
    """Which root table to use: the XSDT when the pointer names one. EINVAL: no root pointer, or a wrong sum."""
    if not rsdp.holds(0, RSDP_OLD) or rsdp.text(0, 8) != RSDP_SIGNATURE or checksum(rsdp.part(0, RSDP_OLD)) != 0:
        raise Errno.EINVAL
    old = RootTable(Paddr(u64(rsdp.le32(AT_RSDT))), 4)
    if rsdp.byte(AT_RSDP_REVISION) < 2:
        return old
    if not rsdp.holds(0, RSDP_NEW):
        raise Errno.EINVAL
    length = u64(rsdp.le32(AT_RSDP_LENGTH))
    if length < RSDP_NEW or length > RSDP_NEW * 16 or not rsdp.holds(0, length):
        raise Errno.EINVAL
    if checksum(rsdp.part(0, length)) != 0:
        raise Errno.EINVAL
    xsdt = rsdp.le64(AT_XSDT)
    return old if xsdt == 0 else RootTable(Paddr(xsdt), 8)


@raises
def checked_table(memory: PhysicalMemory, start: Paddr) -> Bytes:
    """A whole table. EINVAL: it has no header there, is too long to be true, or its sum is wrong."""
    if start == Paddr(0):
        raise Errno.EINVAL
    length = u64(memory.view(start, HEADER).le32(AT_LENGTH))
    if length < HEADER or length > MAX_TABLE:
        raise Errno.EINVAL
    table = memory.view(start, length)
    if checksum(table) != 0:
        raise Errno.EINVAL
    return table


def has_signature(table: Bytes, signature: str) -> bool:
    return table.holds(0, HEADER) and table.text(0, 4) == signature


def revision(table: Bytes) -> u8:
    return table.byte(AT_REVISION)


def checksum(bytes: Bytes) -> u8:
    """The sum of all bytes, modulo 256."""
    total: u32 = 0
    for i in bounded(bytes.length, MAX_TABLE):
        total += u32(bytes.byte(i))
    return truncate(u8, total)
