"""What people say of a serial port, `com1=` and `com2=` on the command line, in Xen's grammar:

    <baud>[/<base-baud>][,[DPS][,[<io-base>|pci|amt][,[<irq>][,[<port-bdf>][,[<bridge-bdf>]]]]]]

and, at any place between the commas, `name=value` for a part by its name. A part that is left empty keeps its default.

Source: Xen 4.17, docs/misc/xen-command-line.pandoc, com1.
"""

from hv.common.drivers.sbdf import Sbdf, sbdf_named
from hv.common.lib.parse import Fields, find, number
from hv.lang import Errno, Final, U8Enum, array, raises, u8, u16, u32, u64

PC_BASE_BAUD: Final[u32] = 115_200  # 1.8432 MHz / 16
OWN_IRQ: Final[u32] = 0xFFFF_FFFF
POLLED: Final[u32] = 0
MOST_IRQS: Final[u64] = 4096
MOST_BAUD: Final[u64] = 0xFFF_FFFF
MOST_DIVISOR: Final[u64] = 0xFFFF
CLOCKS_PER_BAUD: Final = 16

# The line control register (TI PC16550D data sheet, 8.4).
TWO_STOP_BITS: Final[u8] = 1 << 2
LEAST_DATA_BITS: Final = 5
LETTERS: Final = "noems"
PARITIES: Final[array[u8, 5]] = array(0x00, 0x08, 0x18, 0x28, 0x38)
PARITY: Final[u8] = 0x38
DATA_BITS: Final[u8] = 3
FRAME_8N1: Final[u8] = 3


class Search(U8Enum):
    """Where the port is."""

    PLACE = 0  # at `base`
    PCI = 1  # on PCI, but none of Intel's AMT
    AMT = 2  # on PCI


class Part(U8Enum):
    """The first six in the order in which they stand without names."""

    BAUD = 0
    FRAME = 1
    BASE = 2
    IRQ = 3
    PORT = 4
    BRIDGE = 5
    CLOCK = 6
    DATA_BITS = 7
    DEVICE = 8
    PARITY = 9
    SHIFT = 10
    WIDTH = 11
    STOP_BITS = 12


PARTS: Final = 13
POSITIONS: Final = 6
NAMES: Final[array[str, PARTS]] = array(
    "baud", "", "io-base", "irq", "port", "bridge", "clock-hz", "data-bits", "dev", "parity", "reg-shift", "reg-width",
    "stop-bits",
)  # fmt: skip
EXPECTED: Final[array[str, PARTS]] = array(
    "a speed that divides the base speed, or auto",
    "5 to 8 data bits, parity n, o, e, m or s, and 1 or 2 stop bits, such as 8n1",
    "an I/O port, an address of registers in memory, pci or amt",
    "an interrupt's number, or 0",
    "<bus>:<device>.<function>",
    "<bus>:<device>.<function>",
    "the clock in Hz, at least 16",
    "5 to 8 data bits",
    "pci or amt",
    "parity n, o, e, m or s",
    "a shift from 0 to 3",
    "1 or 4 bytes",
    "1 or 2 stop bits",
)
NO_SUCH_PART: Final = "one of six parts, or name=value with a name that Xen has"


class SerialOptions:
    """`init` gives the defaults; `read` changes what the text names."""

    given: bool
    baud: u32  # 0: as the firmware has set it, and the frame too
    base_baud: u32  # the speed with a divisor of 1
    frame: u8  # of the line control register
    search: Search
    base: u64  # an I/O port below 64 KiB, otherwise an address; 0: where the PCI function has it
    irq: u32  # POLLED: none; OWN_IRQ: that of the device
    port: Sbdf
    has_port: bool
    bridge: Sbdf
    has_bridge: bool
    shift: u32  # logarithm of the distance between registers in memory
    width: u32  # bytes of an access to registers in memory
    wrong: str  # what `read` could not take, and what may stand there
    expected: str

    def init(self) -> None:
        self.given = False
        self.baud = 0
        self.base_baud = PC_BASE_BAUD
        self.frame = FRAME_8N1
        self.search = Search.PLACE
        self.base = 0
        self.irq = OWN_IRQ
        self.has_port = False
        self.has_bridge = False
        self.shift = 0
        self.width = 1
        self.wrong = ""
        self.expected = ""

    @raises
    def read(self, text: str) -> None:
        """EINVAL: `wrong` cannot stand where `expected` may. The object is to be made anew then."""
        position: u8 = 0
        for word in Fields(text, ","):
            equals = find(word, ord("="))
            self.wrong = word
            if equals != len(word):
                self._part(self._named(word[:equals]), word[equals + 1 :])
            else:
                self.expected = NO_SUCH_PART
                if position == POSITIONS:
                    raise Errno.EINVAL
                if len(word) != 0:
                    self._part(Part(position), word)
                position += 1
        self.wrong = text
        self.expected = EXPECTED[u8(Part.BAUD)]
        if self.baud != 0 and self.divisor == 0:
            raise Errno.EINVAL
        self.expected = "either pci or amt, or io-base"
        if self.search != Search.PLACE and self.base != 0:
            raise Errno.EINVAL
        self.given = True

    @property
    def divisor(self) -> u16:
        """Of the base speed; 0: none gives the speed."""
        nearest = (u64(self.base_baud) + u64(self.baud) // 2) // u64(self.baud)
        return u16(nearest) if nearest <= MOST_DIVISOR else 0

    @raises
    def _named(self, name: str) -> Part:
        self.expected = NO_SUCH_PART
        for i, known in enumerate(NAMES):
            if len(known) != 0 and name == known:
                return Part(i)
        raise Errno.EINVAL

    @raises
    def _part(self, part: Part, text: str) -> None:
        self.expected = EXPECTED[u8(part)]
        match part:
            case Part.BAUD:
                self._speed(text)
            case Part.FRAME:
                if len(text) != 3:
                    raise Errno.EINVAL
                self._data_bits(text[:1])
                self._parity(text[1:2])
                self._stop_bits(text[2:])
            case Part.BASE:
                if not self._device(text):
                    self.base = within(text, 1, 0xFFFF_FFFF_FFFF)
            case Part.IRQ:
                self.irq = u32(within(text, 0, MOST_IRQS - 1))
            case Part.PORT:
                self.port = sbdf_named(text)
                self.has_port = True
            case Part.BRIDGE:
                self.bridge = sbdf_named(text)
                self.has_bridge = True
            case Part.CLOCK:
                self.base_baud = u32(within(text, CLOCKS_PER_BAUD, MOST_BAUD * CLOCKS_PER_BAUD) // CLOCKS_PER_BAUD)
            case Part.DATA_BITS:
                self._data_bits(text)
            case Part.DEVICE:
                if not self._device(text):
                    raise Errno.EINVAL
            case Part.PARITY:
                self._parity(text)
            case Part.SHIFT:
                self.shift = u32(within(text, 0, 3))
            case Part.WIDTH:
                self.width = u32(within(text, 1, 4))
                if self.width not in (1, 4):
                    raise Errno.EINVAL
            case Part.STOP_BITS:
                self._stop_bits(text)

    @raises
    def _speed(self, text: str) -> None:
        slash = find(text, ord("/"))
        if text[:slash] == "auto":
            self.baud = 0
        else:
            self.baud = u32(within(text[:slash], 1, MOST_BAUD))
        if slash != len(text):
            self.base_baud = u32(within(text[slash + 1 :], 1, MOST_BAUD))

    def _device(self, text: str) -> bool:
        if text == "pci":
            self.search = Search.PCI
        elif text == "amt":
            self.search = Search.AMT
        else:
            return False
        return True

    @raises
    def _data_bits(self, text: str) -> None:
        bits = u8(within(text, LEAST_DATA_BITS, 8))
        self.frame = self.frame & ~DATA_BITS | (bits - LEAST_DATA_BITS)

    @raises
    def _parity(self, text: str) -> None:
        if len(text) != 1:
            raise Errno.EINVAL
        which = find(LETTERS, ord(text[0]))
        if which == len(LETTERS):
            raise Errno.EINVAL
        self.frame = self.frame & ~PARITY | PARITIES[which]

    @raises
    def _stop_bits(self, text: str) -> None:
        two = within(text, 1, 2) == 2
        self.frame = self.frame & ~TWO_STOP_BITS | (TWO_STOP_BITS if two else 0)


@raises
def within(text: str, least: u64, most: u64) -> u64:
    """A number in these bounds. EINVAL: it is none."""
    found = number(text)
    if found < least or found > most:
        raise Errno.EINVAL
    return found
