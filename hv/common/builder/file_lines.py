"""Which line of a partition file gave a domain which of its addresses, for what is said of a fault.

tools/partition writes two properties into a domain's node: `constrictor,file`, the file's name, and
`constrictor,lines`, rows of guest-physical address and size (two cells each, bytes) and line (one cell), ascending and
without overlap. They are checked once, when the node is read; the tree stays as long as the machine runs.
"""

from hv.common.lib.fdt import Node
from hv.common.lib.span import Bytes
from hv.lang import Errno, Final, bounded, raises, u32, u64, value

MAX_ROWS: Final = 256
ROW: Final[u64] = 20  # bytes
LONGEST_NAME: Final = 63


@value
class FileLine:
    """A line, and the addresses that it gave: start up to, not including, end."""

    number: u32
    start: u64
    end: u64

    def distance(self, address: u64) -> u64:
        """Bytes between the address and the nearer end; 0 inside."""
        if address < self.start:
            return self.start - address
        return 0 if address < self.end else address - (self.end - 1)

    def relation(self, address: u64) -> str:
        """How the line stands to the address, before `edge`."""
        if address < self.start:
            return "begins at"
        return "gives it, from" if address < self.end else "ends at"

    def edge(self, address: u64) -> u64:
        return self.end if address >= self.end else self.start


@value
class FileLines:
    """Without rows: the domain comes from no partition file."""

    file: str
    rows: Bytes

    @property
    def count(self) -> u32:
        return u32(self.rows.length // ROW)

    def row(self, index: u32) -> FileLine:
        at = u64(index) * ROW
        start = self.rows.be64(at)
        return FileLine(self.rows.be32(at + 16), start, start + self.rows.be64(at + 8))

    def nearest(self, address: u64) -> FileLine:
        """The line that gave the address, or the one that came nearest to it. There are rows."""
        best = self.row(0)
        for i in bounded(self.count, MAX_ROWS):
            row = self.row(i)
            if row.distance(address) < best.distance(address):
                best = row
        return best


NO_LINES: Final = FileLines("", Bytes(0, 0))


@raises
def read_file_lines(node: Node) -> FileLines:
    """Those of a domain's node; none when it has none. EINVAL: they are malformed."""
    rows = node.property("constrictor,lines")
    if not rows.found:
        return NO_LINES
    lines = FileLines(node.property("constrictor,file").string(), rows.bytes)
    if not is_plain(lines.file) or rows.bytes.length % ROW != 0 or rows.bytes.length > MAX_ROWS * ROW:
        raise Errno.EINVAL
    reached: u64 = 0
    for i in bounded(lines.count, MAX_ROWS):
        size = lines.rows.be64(u64(i) * ROW + 8)
        row = lines.row(i)
        if row.start < reached or row.end <= row.start or row.end - row.start != size:
            raise Errno.EINVAL
        reached = row.end
    return lines


def is_plain(name: str) -> bool:
    """Whether it can be printed, and is short enough for a line."""
    if len(name) == 0 or len(name) > LONGEST_NAME:
        return False
    for i in bounded(len(name), LONGEST_NAME):
        if not ord(" ") <= ord(name[i]) <= ord("~"):
            return False
    return True
