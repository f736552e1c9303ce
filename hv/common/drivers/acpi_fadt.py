"""The FADT: the PM timer, how the machine is reset and put to sleep, and where the DSDT lies.

Registers are described twice, by a port number in the old fields and by a generic address in the new; a new field that
is there and not zero wins.

Source: ACPI Specification 6.5, 5.2.3.2 (generic address), 5.2.9 (FADT).
"""

from hv.common.lib.span import Bytes
from hv.common.mm.types import Paddr
from hv.lang import Errno, Final, U8Enum, raises, u8, u16, u32, u64, value

LEAST: Final[u64] = 116  # bytes of revision 1
GENERIC_ADDRESS: Final[u64] = 12

AT_DSDT: Final[u64] = 40
AT_SCI: Final[u64] = 46
AT_SMI_COMMAND: Final[u64] = 48
AT_ACPI_ENABLE: Final[u64] = 52
AT_PM1A_CONTROL: Final[u64] = 64
AT_PM1B_CONTROL: Final[u64] = 68
AT_PM_TIMER: Final[u64] = 76
AT_PM1_CONTROL_LENGTH: Final[u64] = 89
AT_PM_TIMER_LENGTH: Final[u64] = 91
AT_CENTURY: Final[u64] = 108
AT_BOOT_FLAGS: Final[u64] = 109
AT_FLAGS: Final[u64] = 112
AT_RESET_REGISTER: Final[u64] = 116
AT_RESET_VALUE: Final[u64] = 128
AT_X_DSDT: Final[u64] = 140
AT_X_PM1A_CONTROL: Final[u64] = 172
AT_X_PM1B_CONTROL: Final[u64] = 184
AT_X_PM_TIMER: Final[u64] = 208
AT_SLEEP_CONTROL: Final[u64] = 244

TIMER_IS_32_BITS: Final[u32] = 1 << 8
RESET_SUPPORTED: Final[u32] = 1 << 10
HARDWARE_REDUCED: Final[u32] = 1 << 20

# IA-PC boot architecture flags (table 5.11).
HAS_8042: Final[u16] = 1 << 1
NO_VGA: Final[u16] = 1 << 2
NO_CMOS_RTC: Final[u16] = 1 << 5
BOOT_FLAGS_SINCE: Final[u8] = 2  # revision of the table: before, the field is reserved


class Space(U8Enum):
    """Address spaces of a register."""

    MEMORY = 0
    PORT = 1
    PCI = 2
    OTHER = 0xFF


@value
class Register:
    """Where a register is. An address of 0 is none."""

    space: Space
    bits: u8
    access: u8  # size of an access: 1 byte … 4 eight bytes; 0: not said
    address: u64

    @property
    def exists(self) -> bool:
        return self.address != 0


class Fadt:
    flags: u32
    boot_flags: u16
    sci: u16  # the system control interrupt, an ISA number or a global interrupt
    smi_command: u32  # a port; 0: the machine is in ACPI mode always
    acpi_enable: u8
    century: u8  # the index of the century in the CMOS RAM; 0: there is none
    pm_timer: Register
    pm1a_control: Register
    pm1b_control: Register
    sleep_control: Register  # of hardware-reduced machines
    reset: Register
    reset_value: u8
    dsdt: Paddr

    @raises
    def init(self, table: Bytes) -> None:
        """EINVAL: shorter than the first revision's."""
        if not table.holds(0, LEAST):
            raise Errno.EINVAL
        self.flags = table.le32(AT_FLAGS)
        self.boot_flags = table.le16(AT_BOOT_FLAGS) if table.byte(8) >= BOOT_FLAGS_SINCE else 0
        self.sci = table.le16(AT_SCI)
        self.smi_command = table.le32(AT_SMI_COMMAND)
        self.acpi_enable = table.byte(AT_ACPI_ENABLE)
        self.century = table.byte(AT_CENTURY)
        timer_there = table.byte(AT_PM_TIMER_LENGTH) == 4
        self.pm_timer = _register(table, AT_X_PM_TIMER, AT_PM_TIMER, 32 if timer_there else 0)
        width = u64(table.byte(AT_PM1_CONTROL_LENGTH)) * 8
        self.pm1a_control = _register(table, AT_X_PM1A_CONTROL, AT_PM1A_CONTROL, width)
        self.pm1b_control = _register(table, AT_X_PM1B_CONTROL, AT_PM1B_CONTROL, width)
        self.sleep_control = _generic(table, AT_SLEEP_CONTROL)
        self.reset = Register(Space.MEMORY, 0, 0, 0)
        self.reset_value = 0
        if self.flags & RESET_SUPPORTED != 0 and table.holds(AT_RESET_VALUE, 1):
            self.reset = _generic(table, AT_RESET_REGISTER)
            self.reset_value = table.byte(AT_RESET_VALUE)
        wide = table.le64(AT_X_DSDT) if table.holds(AT_X_DSDT, 8) else 0
        self.dsdt = Paddr(wide if wide != 0 else u64(table.le32(AT_DSDT)))

    @property
    def pm_timer_bits(self) -> u32:
        """24 or 32."""
        return 32 if self.flags & TIMER_IS_32_BITS != 0 else 24


fadt: Final = Fadt()


@raises
def generic_address(bytes: Bytes, at: u64) -> Register:
    """A generic address structure. EINVAL: it ends behind the table."""
    if not bytes.holds(at, GENERIC_ADDRESS):
        raise Errno.EINVAL
    return _generic(bytes, at)


def _generic(table: Bytes, at: u64) -> Register:
    """None when the table is too short for it."""
    if not table.holds(at, GENERIC_ADDRESS):
        return Register(Space.MEMORY, 0, 0, 0)
    space = table.byte(at)
    known = Space(space) if space <= u8(Space.PCI) else Space.OTHER
    return Register(known, table.byte(at + 1), table.byte(at + 3), table.le64(at + 4))


def _register(table: Bytes, wide: u64, old: u64, bits: u64) -> Register:
    """The register of the new field, or of the old field's port; none when `bits` is 0."""
    if bits == 0:
        return Register(Space.PORT, 0, 0, 0)
    found = _generic(table, wide)
    if found.exists:
        return found
    return Register(Space.PORT, u8(min(bits, 255)), 0, u64(table.le32(old)))
