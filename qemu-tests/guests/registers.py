"""What a register of 32 bits may show when ones have been written to it, for each device of a guest: the registers of
the interrupt controllers (Arm IHI 0069, 12.9 to 12.11; IHI 0048B, 4.3) and of the UART (DDI 0183, 3.3).
"""

from guests.lib.controller import FIRST_SHARED
from hv.lang import Final, U8Enum, array, u64, value


class Frame(U8Enum):
    UART = 0
    DISTRIBUTOR = 1  # of a GICv3
    REDISTRIBUTOR = 2
    PRIVATE = 3  # a redistributor's second frame: a vCPU's own interrupts
    GICV2_DISTRIBUTOR = 4
    GICV2_INTERFACE = 5  # the machine's own, which answers by itself


@value
class Bits:
    """`always` are one, and none but `ever` are."""

    always: u64
    ever: u64


@value
class Register:
    """Words from `first` to before `end`."""

    frame: Frame
    first: u64
    end: u64
    always: u64
    ever: u64


@value
class BankRegister:
    """`bytes` for each 32 interrupts, the first 32 of which are a vCPU's own."""

    first: u64
    bytes: u64
    always: u64
    ever: u64


WORD: Final[u64] = 0xFFFF_FFFF
PRIORITIES: Final[u64] = 0xF8F8_F8F8  # of four interrupts, as far as they have bits
TRIGGERS: Final[u64] = 0xAAAA_AAAA
NONE: Final = Bits(0, 0)
LOWER_ROUTE: Final = Bits(0x80FF_FFFF, 0x80FF_FFFF)  # of GICD_IROUTER: the affinity's fields, and one of several
UPPER_ROUTE: Final = Bits(0xFF, 0xFF)

BANKS: Final[array[BankRegister, 9]] = array(
    BankRegister(0x080, 4, WORD, WORD),  # IGROUPR
    BankRegister(0x100, 4, WORD, WORD),  # ISENABLER
    BankRegister(0x180, 4, 0, 0),  # ICENABLER
    BankRegister(0x200, 4, 0, WORD),  # ISPENDR: of SGIs a GICv2 has it elsewhere
    BankRegister(0x280, 4, 0, WORD),  # ICPENDR: inputs may be asserted
    BankRegister(0x300, 4, WORD, WORD),  # ISACTIVER
    BankRegister(0x380, 4, 0, 0),  # ICACTIVER
    BankRegister(0x400, 32, PRIORITIES, PRIORITIES),
    BankRegister(0xC00, 8, 0, TRIGGERS),
)
FIXED: Final[array[Register, 18]] = array(
    Register(Frame.UART, 0x000, 0x004, 0, 0xFFF),  # DR
    Register(Frame.UART, 0x018, 0x01C, 0x080, 0x1F8),  # FR: nothing waits to be sent
    Register(Frame.UART, 0x038, 0x03C, 0x7FF, 0x7FF),  # IMSC
    Register(Frame.UART, 0x03C, 0x044, 0, 0x7FF),  # RIS, MIS
    Register(Frame.UART, 0xFE0, 0x1000, 0, 0xFF),
    Register(Frame.DISTRIBUTOR, 0x000, 0x004, 0x53, 0x53),  # both groups, affinity routing, no security
    Register(Frame.DISTRIBUTOR, 0x004, 0x00C, 0, WORD),
    Register(Frame.DISTRIBUTOR, 0xFFD0, 0x1_0000, 0, 0xFF),
    Register(Frame.REDISTRIBUTOR, 0x004, 0x010, 0, WORD),
    Register(Frame.REDISTRIBUTOR, 0x014, 0x018, 0, 0x6),  # WAKER
    Register(Frame.REDISTRIBUTOR, 0xFFD0, 0x1_0000, 0, 0xFF),
    Register(Frame.PRIVATE, 0xFFD0, 0x1_0000, 0, 0xFF),
    Register(Frame.GICV2_DISTRIBUTOR, 0x000, 0x004, 0x3, 0x3),
    Register(Frame.GICV2_DISTRIBUTOR, 0x004, 0x00C, 0, WORD),
    Register(Frame.GICV2_DISTRIBUTOR, 0x800, 0x820, 0, WORD),  # ITARGETSR of a vCPU's own
    Register(Frame.GICV2_DISTRIBUTOR, 0xF10, 0xF30, 0, WORD),  # senders of SGIs
    Register(Frame.GICV2_DISTRIBUTOR, 0xFD0, 0x1000, 0, 0xFF),
    Register(Frame.GICV2_INTERFACE, 0x0000, 0x1000, 0, WORD),
)
TARGETS: Final[u64] = 0x800
ROUTES: Final[u64] = 0x6000


def bits_of(frame: Frame, offset: u64, lines: u64) -> Bits:
    """Of the word at an offset into its frame; `lines`: interrupts of the distributor."""
    for row in FIXED:
        if row.frame == frame and row.first <= offset < row.end:
            return Bits(row.always, row.ever)
    for register in BANKS:
        if register.first <= offset < register.first + register.bytes * (lines // 32):
            return (
                Bits(register.always, register.ever)
                if has_bank(frame, (offset - register.first) // register.bytes)
                else NONE
            )
    if frame == Frame.DISTRIBUTOR and ROUTES + 8 * FIRST_SHARED <= offset < ROUTES + 8 * lines:
        return LOWER_ROUTE if offset % 8 == 0 else UPPER_ROUTE
    if frame == Frame.GICV2_DISTRIBUTOR and TARGETS <= offset < TARGETS + lines:
        return Bits(0, WORD)
    return NONE


def has_bank(frame: Frame, number: u64) -> bool:
    match frame:
        case Frame.DISTRIBUTOR:
            return number != 0
        case Frame.PRIVATE:
            return number == 0
        case Frame.GICV2_DISTRIBUTOR:
            return True
        case _:
            return False
