"""A console on the screen that the boot loader has set up: letters drawn in pixels, or EGA's text cells.

What is on the screen is kept as text, and the screen's memory is only written: reading it back would be slow. When the
lowest line is full the text moves up by a line, and each row is drawn again as far as it or the one before it had
letters. Escape sequences are left out.

The console's lock protects it.
"""

from hv.common.drivers.font import COLUMNS as DOTS
from hv.common.drivers.font import ROWS as DOT_ROWS
from hv.common.drivers.font import glyph, row_of
from hv.common.drivers.screen import Screen, ScreenKind
from hv.common.kernel.console import DELETE, OPENING_BRACKET, SPACE, SerialPort
from hv.common.lib.span import Bytes
from hv.lang import Errno, Final, array, bounded, ptr, raises, truncate, u8, u16, u32, u64

MAX_COLUMNS: Final[u32] = 256
MAX_LINES: Final[u32] = 128
CELLS: Final = 32768
MAX_PIXELS: Final = 4096  # of a row
MAX_PIXEL_ROWS: Final = 4096
LETTER_WIDTH: Final = 8  # pixels
LETTER_HEIGHT: Final = 16
LEFT: Final[u32] = 1  # free pixels beside the dots and above them
TOP: Final[u32] = 1
GREY: Final[u16] = 0x0700  # EGA's attribute: light grey on black
BRIGHTNESS: Final[u32] = 0xC0  # of 0xFF, in each colour


class Framebuffer(SerialPort):
    screen: Screen
    address: u64
    pixel: u32  # bytes of a pixel
    ink: u32
    columns: u32
    lines: u32
    column: u32  # where the next letter goes
    line: u32
    text: array[u8, CELLS]
    used: array[u32, MAX_LINES]  # letters of each line
    escape: bool  # an escape sequence has begun
    bracket: bool  # and goes on up to a letter

    @raises
    def start(self, screen: Screen, address: u64) -> None:
        """Clears the screen, whose memory is mapped at the address. ENODEV: no screen that letters can be drawn on."""
        self.screen = screen
        self.address = address
        match screen.kind:
            case ScreenKind.TEXT:
                self.columns = min(screen.width, MAX_COLUMNS)
                self.lines = min(screen.height, MAX_LINES)
                self.pixel = 2
            case ScreenKind.PIXELS:
                self.columns = min(screen.width, MAX_PIXELS) // LETTER_WIDTH
                self.lines = min(screen.height, MAX_PIXEL_ROWS) // LETTER_HEIGHT
                self.columns = min(self.columns, MAX_COLUMNS)
                self.lines = min(self.lines, MAX_LINES)
                self.pixel = u32(screen.bits) + 7 >> 3
                self.ink = ink_of(screen)
            case ScreenKind.NONE:
                raise Errno.ENODEV
        wide = u64(screen.width) * u64(self.pixel)
        if self.columns == 0 or self.lines == 0 or self.pixel < 2 or self.pixel > 4 or u64(screen.pitch) < wide:
            raise Errno.ENODEV
        self.column = 0
        self.line = 0
        self.escape = False
        self.bracket = False
        for i in bounded(self.lines, MAX_LINES):
            self.used[i] = 0
        if screen.kind == ScreenKind.PIXELS:
            Bytes(address, screen.bytes).fill(0)
        else:
            for i in bounded(self.lines, MAX_LINES):
                self._draw_line(i, self.columns)

    def put(self, byte: u8) -> None:
        if self.escape:
            self._skip(byte)
            return
        match byte:
            case 0x0A:
                self._next_line()
            case 0x0D:
                self.column = 0
            case 0x1B:
                self.escape = True
                self.bracket = False
            case 0x08:
                self.column = max(self.column, 1) - 1
            case _:
                if byte >= SPACE and byte != DELETE:
                    self._letter(byte)

    def _skip(self, byte: u8) -> None:
        """A byte of an escape sequence (ECMA-48, 5.4)."""
        if not self.bracket:
            self.bracket = byte == OPENING_BRACKET
            self.escape = self.bracket
        elif byte >= 0x40:
            self.escape = False

    def _letter(self, byte: u8) -> None:
        if self.column == self.columns:
            self.column = 0
            self._next_line()
        for i in bounded(self.used[self.line], self.column, MAX_COLUMNS):
            self.text[self.line * MAX_COLUMNS + i] = SPACE
        self.text[self.line * MAX_COLUMNS + self.column] = byte
        self.used[self.line] = max(self.used[self.line], self.column + 1)
        self._draw(self.line, self.column, byte)
        self.column += 1

    def _next_line(self) -> None:
        if self.line + 1 < self.lines:
            self.line += 1
            return
        for i in bounded(self.lines - 1, MAX_LINES):
            before = self.used[i]
            self._take_from_below(i)
            self._draw_line(i, max(before, self.used[i]))
        before = self.used[self.line]
        self.used[self.line] = 0
        self._draw_line(self.line, before)

    def _take_from_below(self, line: u32) -> None:
        self.used[line] = self.used[line + 1]
        for i in bounded(self.used[line], MAX_COLUMNS):
            self.text[line * MAX_COLUMNS + i] = self.text[(line + 1) * MAX_COLUMNS + i]

    def _draw_line(self, line: u32, count: u32) -> None:
        """The line's first letters, with spaces behind its end."""
        for i in bounded(count, MAX_COLUMNS):
            self._draw(line, i, self.text[line * MAX_COLUMNS + i] if i < self.used[line] else SPACE)

    def _draw(self, line: u32, column: u32, byte: u8) -> None:
        if self.screen.kind == ScreenKind.TEXT:
            at = self.address + u64(line) * u64(self.screen.pitch) + u64(column) * 2
            ptr[u16](at)[0] = GREY | u16(byte)
            return
        at = self.address + u64(line) * LETTER_HEIGHT * u64(self.screen.pitch)
        at += u64(column) * LETTER_WIDTH * u64(self.pixel)
        shape = glyph(byte)
        for row in range(LETTER_HEIGHT):
            dots: u32 = 0
            if TOP <= row < TOP + 2 * DOT_ROWS:
                dots = row_of(shape, (row - TOP) // 2) << LETTER_WIDTH - LEFT - DOTS
            self._draw_dots(at + u64(row) * u64(self.screen.pitch), dots)

    def _draw_dots(self, start: u64, dots: u32) -> None:
        """Eight pixels; the highest bit of eight is the leftmost."""
        for i in range(LETTER_WIDTH):
            colour = self.ink if dots >> LETTER_WIDTH - 1 - i & 1 != 0 else 0
            at = start + u64(i) * u64(self.pixel)
            match self.pixel:
                case 4:
                    ptr[u32](at)[0] = colour
                case 2:
                    ptr[u16](at)[0] = truncate(u16, colour)
                case _:
                    bytes = ptr[u8](at)
                    bytes[0] = truncate(u8, colour)
                    bytes[1] = truncate(u8, colour >> 8)
                    bytes[2] = truncate(u8, colour >> 16)


framebuffer: Final = Framebuffer()


def ink_of(screen: Screen) -> u32:
    """A light grey, in the screen's own arrangement of colours."""
    return (
        _part(screen.red_at, screen.red_bits)
        | _part(screen.green_at, screen.green_bits)
        | _part(screen.blue_at, screen.blue_bits)
    )


def _part(at: u8, bits: u8) -> u32:
    if bits == 0 or bits > 8 or at > 31:
        return 0
    return BRIGHTNESS >> 8 - u32(bits) << u32(at)
