"""Building a flattened device tree in a buffer.

    tree.init(buffer)
    with tree.node(""):
        tree.cell("#address-cells", 2)
        with tree.node(f"memory@{base:x}"):
            tree.text("device_type", "memory")
            with tree.property("reg"):
                tree.put_wide(base)
                tree.put_wide(size)
    length = tree.finish()

What does not fit is left out and remembered: `finish` raises then, and nothing before needs to be checked. Properties
of a node stand before its children. The structure grows behind the header; names grow in the last part of the buffer
until `finish` moves them behind the structure.

Source: Devicetree Specification 0.4, chapter 5.
"""

from hv.common.lib import fdt
from hv.common.lib.format import Sink, render
from hv.common.lib.span import Bytes
from hv.lang import Errno, Final, Message, bounded, guard, raises, u8, u32, u64, unbounded

STRINGS_SHARE: Final = 8  # one part in so many of the buffer is for the names of properties
STRUCTURE_START: Final = 56  # behind the header and the one entry of reservations that ends them
MAX_LENGTH: Final = 65536  # bytes of one text


@guard
class NodeScope:
    """Ends its node."""

    tree: "FdtWriter"

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        self.tree.end_node()


@guard
class PropertyScope:
    """Ends its property: its length is known then."""

    tree: "FdtWriter"

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        self.tree.end_property()


class FdtWriter(Sink):
    buffer: Bytes
    end: u64  # of the structure so far
    names_start: u64  # of the names so far, and their end
    names_end: u64
    open_property: u64  # where its length stands; 0: none is open
    depth: u32
    full: bool  # something was left out

    def init(self, buffer: Bytes) -> None:
        """Begins anew. A buffer too small for even a header makes `finish` raise."""
        self.buffer = buffer
        self.end = STRUCTURE_START
        self.names_start = buffer.length - buffer.length // STRINGS_SHARE
        self.names_end = self.names_start
        self.open_property = 0
        self.depth = 0
        self.full = self.names_start < STRUCTURE_START

    @raises
    def finish(self) -> u64:
        """Writes the header, when all nodes are ended. Returns the tree's size in bytes. ENOSPC: the buffer was too
        small.
        """
        assert self.depth == 0 and self.open_property == 0, "a node or property of the tree is not ended"
        self.put_cell(fdt.END)
        if self.full:
            raise Errno.ENOSPC
        names = self.names_end - self.names_start
        self.buffer.move_down(self.end, self.names_start, names)
        size = self.end + names
        self.buffer.put_be32(0, fdt.MAGIC)
        self.buffer.put_be32(fdt.AT_TOTAL_SIZE, u32(size))
        self.buffer.put_be32(fdt.AT_STRUCTURE, STRUCTURE_START)
        self.buffer.put_be32(fdt.AT_STRINGS, u32(self.end))
        self.buffer.put_be32(fdt.AT_RESERVATIONS, fdt.HEADER_SIZE)
        self.buffer.put_be32(fdt.AT_VERSION, fdt.VERSION)
        self.buffer.put_be32(fdt.AT_LAST_COMPATIBLE, fdt.OLDEST_VERSION)
        self.buffer.put_be32(fdt.AT_BOOT_CPU, 0)
        self.buffer.put_be32(fdt.AT_STRINGS_SIZE, u32(names))
        self.buffer.put_be32(fdt.AT_STRUCTURE_SIZE, u32(self.end - STRUCTURE_START))
        self.buffer.put_be64(fdt.HEADER_SIZE, 0)
        self.buffer.put_be64(fdt.HEADER_SIZE + 8, 0)
        return size

    def node(self, name: Message) -> NodeScope:
        """`with tree.node(f"cpu@{i:x}"):` the properties and children that the body adds. The root's name is empty."""
        self.begin_node(name)
        return NodeScope(self)

    def begin_node(self, name: Message) -> None:
        self.put_cell(fdt.BEGIN_NODE)
        render(self, name)
        self._put_byte(0)
        self._pad()
        self.depth += 1

    def end_node(self) -> None:
        self.put_cell(fdt.END_NODE)
        self.depth -= 1

    def property(self, name: str) -> PropertyScope:
        """`with tree.property("reg"):` the value is what the body puts with the functions named `put…`."""
        self.begin_property(name)
        return PropertyScope(self)

    def begin_property(self, name: str) -> None:
        assert self.open_property == 0, "a property inside a property"
        self.put_cell(fdt.PROPERTY)
        self.open_property = self.end
        self.put_cell(0)
        self.put_cell(self._name(name))

    def end_property(self) -> None:
        if not self.full:
            self.buffer.put_be32(self.open_property, u32(self.end - self.open_property - 8))
        self.open_property = 0
        self._pad()

    # Whole properties

    def empty(self, name: str) -> None:
        with self.property(name):
            pass

    def cell(self, name: str, x: u32) -> None:
        with self.property(name):
            self.put_cell(x)

    def wide(self, name: str, x: u64) -> None:
        """Two cells."""
        with self.property(name):
            self.put_wide(x)

    def text(self, name: str, text: Message) -> None:
        with self.property(name):
            self.put_text(text)

    # Parts of a value

    def put_cell(self, x: u32) -> None:
        if self._reserve(4):
            self.buffer.put_be32(self.end, x)
            self.end += 4

    def put_wide(self, x: u64) -> None:
        if self._reserve(8):
            self.buffer.put_be64(self.end, x)
            self.end += 8

    def put_text(self, text: Message) -> None:
        """A string with the zero byte behind it: several make a list."""
        render(self, text)
        self._put_byte(0)

    def put_bytes(self, bytes: Bytes) -> None:
        for i in bounded(bytes.length, MAX_LENGTH):
            self._put_byte(bytes.byte(i))

    def put(self, text: str) -> None:
        """The text's bytes alone."""
        if self._reserve(len(text)):
            self.buffer.put_text(self.end, text)
            self.end += len(text)

    def _put_byte(self, x: u8) -> None:
        if self._reserve(1):
            self.buffer.put_byte(self.end, x)
            self.end += 1

    @unbounded("at most three steps")
    def _pad(self) -> None:
        while self.end % 4 != 0 and not self.full:
            self._put_byte(0)

    def _reserve(self, size: u64) -> bool:
        """Whether the structure may grow so much."""
        if not self.full and size > self.names_start - self.end:
            self.full = True
        return not self.full

    @unbounded("each step goes on by a name")
    def _name(self, name: str) -> u32:
        """The offset of a property's name among the names, which it joins when it is new."""
        names = self.buffer.part(self.names_start, self.names_end - self.names_start)
        at: u64 = 0
        while at < names.length:
            known = names.string(at)
            if known == name:
                return u32(at)
            at += len(known) + 1
        if len(name) >= self.buffer.length - self.names_end:
            self.full = True
            return 0
        self.buffer.put_text(self.names_end, name)
        self.buffer.put_byte(self.names_end + len(name), 0)
        self.names_end += len(name) + 1
        return u32(at)
