"""Which Python line an address of the hypervisor's code comes from: for backtraces.

The build makes the table from the image's DWARF (compiler/lines.py) and links it between `__lines_start` and
`__lines_end`. All numbers are unsigned LEB128 (DWARF 5, 7.6):

    unit        bytes of the smallest instruction: 4 on arm64, 1 on x86; addresses count in it, from __text_start on
    files       how many names follow; each is its length and its bytes. File 0 is none: no Python line made the code
    rows        how many rows follow, by rising address; each says what holds from its address up to the next row's:
        2 * (address - the row before's) + (1 when the file changes)
        the file, when it changes
        line - the row before's line, zigzag: 0, -1, 1, -2, … are 0, 1, 2, 3, …

Before the first row address, file and line are 0. An empty table, as in an image linked for the first time, knows
nothing, and a damaged one is read without harm.
"""

from hv.common.lib.format import Sink, render
from hv.common.lib.span import Bytes
from hv.config import CONFIG_LINE_TABLE
from hv.lang import Final, Message, bounded, symbol, u8, u32, u64, unbounded, value

MAX_FILES: Final = 4096
MAX_ROWS: Final = 1 << 24
MORE: Final = 0x80  # another byte of a number follows


@value
class Place:
    """A line of a file; line 0: not known."""

    file: str
    line: u32


class Cursor:
    """Reads a table from its start; behind its end every number is 0."""

    table: Bytes
    at: u64

    @unbounded("each step reads a byte of the table")
    def number(self) -> u64:
        total: u64 = 0
        shift: u32 = 0
        while self.at < self.table.length and shift < 63:
            byte = self.table.byte(self.at)
            self.at += 1
            total |= u64(byte & ~u8(MORE)) << shift
            if byte & MORE == 0:
                break
            shift += 7
        return total

    def name(self) -> str:
        length = min(self.number(), self.table.length - self.at)
        text = self.table.text(self.at, length)
        self.at += length
        return text

    @property
    def ended(self) -> bool:
        return self.at == self.table.length


def look_up(table: Bytes, offset: u64) -> Place:
    """The place of a byte of code, counted from where the table's addresses begin."""
    cursor = Cursor()
    cursor.table = table
    unit = cursor.number()
    if unit == 0:
        return Place("", 0)
    files = u64(cursor.at)
    _skip_names(cursor)
    found_file: u64 = 0
    found_line: u64 = 0
    address: u64 = 0
    file: u64 = 0
    line: u64 = 0
    for _ in bounded(min(cursor.number(), MAX_ROWS), MAX_ROWS):
        step = cursor.number()
        address += (step >> 1) * unit
        if address > offset or cursor.ended:
            break
        if step & 1 != 0:
            file = cursor.number()
        change = cursor.number()
        line += change >> 1 ^ 0 - (change & 1)
        found_file = file
        found_line = line
    if found_file == 0 or found_line >> 32 != 0:
        return Place("", 0)
    cursor.at = files
    return Place(_name(cursor, found_file), u32(found_line))


def place_of(address: u64) -> Place:
    """The place of an instruction of this image. Not known where the image has no table."""
    if not CONFIG_LINE_TABLE:
        return Place("", 0)
    start = symbol("__text_start")
    if address < start or address >= symbol("__text_end"):
        return Place("", 0)
    lines = symbol("__lines_start")
    return look_up(Bytes(lines, symbol("__lines_end") - lines), address - start)


def write_place(sink: Sink, address: u64) -> None:
    """In words: the line of the code at the address, or the address when there is none."""
    place = place_of(address)
    if place.line == 0:
        _write(sink, f"{address:#x}")
    else:
        _write(sink, f"{place.file}:{place.line}")


def _write(sink: Sink, message: Message) -> None:
    render(sink, message)


def _skip_names(cursor: Cursor) -> None:
    for _ in bounded(min(cursor.number(), MAX_FILES), MAX_FILES):
        cursor.name()


def _name(cursor: Cursor, file: u64) -> str:
    """The name of a file by its number, with the cursor at the count of names."""
    count = cursor.number()
    if file > count:
        return ""
    text = ""
    for _ in bounded(min(file, MAX_FILES), MAX_FILES):
        text = cursor.name()
    return text
