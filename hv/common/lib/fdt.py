"""Reading a flattened device tree.

`Fdt.init` walks the whole tree once and refuses what is malformed: any bytes may be given to it. From then on every
token, name and property is known to lie inside the blob, so a `Node` (a place in the structure block) can be walked
without errors. What a property holds stays untrusted: its accessors raise EINVAL when it is too short for what is
asked.

The blob must not change while the tree is used. Nodes and properties are values, to be copied freely.

Source: Devicetree Specification 0.4, chapter 5 (format) and 2.3 (cells, reg, ranges, phandle).
"""

from hv.common.lib.parse import Fields
from hv.common.lib.span import Bytes
from hv.lang import Errno, Final, Iterator, array, bounded, raises, u32, u64, unbounded, value

MAGIC: Final = 0xD00DFEED
VERSION: Final = 17
OLDEST_VERSION: Final = 16

# Where the header's words stand.
HEADER_SIZE: Final = 40
AT_TOTAL_SIZE: Final = 4
AT_STRUCTURE: Final = 8
AT_STRINGS: Final = 12
AT_RESERVATIONS: Final = 16
AT_VERSION: Final = 20
AT_LAST_COMPATIBLE: Final = 24
AT_BOOT_CPU: Final = 28
AT_STRINGS_SIZE: Final = 32
AT_STRUCTURE_SIZE: Final = 36

# Tokens of the structure block.
BEGIN_NODE: Final = 1
END_NODE: Final = 2
PROPERTY: Final = 3
NOP: Final = 4
END: Final = 9

MAX_SIZE: Final = 0x400_0000  # bytes of a tree
MAX_DEPTH: Final = 32
MAX_NAME: Final = 255
MAX_ENTRIES: Final = MAX_SIZE // 4  # of a property, in cells
MAX_RESERVATIONS: Final = 4096
MAX_CELLS: Final = 2  # of an address or a size: 64 bits
DEFAULT_ADDRESS_CELLS: Final = 2
DEFAULT_SIZE_CELLS: Final = 1


@value
class Region:
    """Physical addresses from `start`, in bytes."""

    start: u64
    size: u64


@value
class Property:
    """A property's name and bytes. `found` is False for one that a node does not have; its bytes are none."""

    found: bool
    name: str
    bytes: Bytes

    @property
    def count(self) -> u32:
        """How many whole cells it holds."""
        return u32(self.bytes.length // 4)

    @raises
    def cell(self, index: u32 = 0) -> u32:
        """The 32-bit cell. EINVAL: not so many."""
        if index >= self.count:
            raise Errno.EINVAL
        return self.bytes.be32(u64(index) * 4)

    @raises
    def number(self, index: u32, cells: u32) -> u64:
        """`cells` cells, 0 to 2, from cell `index` on. EINVAL: not so many."""
        if cells > MAX_CELLS or index > self.count or cells > self.count - index:
            raise Errno.EINVAL
        total: u64 = 0
        for i in bounded(cells, MAX_CELLS):
            total = total << 32 | u64(self.bytes.be32(u64(index + i) * 4))
        return total

    @raises
    def integer(self) -> u64:
        """A number written in one cell or in two. EINVAL: other lengths."""
        if self.bytes.length != 4 and self.bytes.length != 8:
            raise Errno.EINVAL
        return self.number(0, self.count)

    @unbounded("each step goes on by a string and its end")
    def __iter__(self) -> Iterator[str]:
        """The strings of a list. What follows the last zero byte is none."""
        at: u64 = 0
        while self.bytes.terminated(at):
            text = self.bytes.string(at)
            yield text
            at += len(text) + 1

    @raises
    def string(self, index: u32 = 0) -> str:
        """The string of the list. EINVAL: not so many."""
        left = index
        for text in self:
            if left == 0:
                return text
            left -= 1
        raise Errno.EINVAL

    def lists(self, wanted: str) -> bool:
        """Whether `wanted` is one of its strings."""
        for text in self:
            if text == wanted:
                return True
        return False


@value
class Token:
    """A token of the structure block, and where the next stands."""

    kind: u32
    offset: u32
    after: u32


@value
class Node:
    """A node of a tree that has been checked: where its BEGIN_NODE token stands."""

    tree: "Fdt"
    offset: u32

    @property
    def name(self) -> str:
        """With the unit address: `memory@40000000`. The root's is empty."""
        return self.tree.structure.string(u64(self.offset) + 4)

    @property
    def base_name(self) -> str:
        """Without the unit address."""
        name = self.name
        for i in bounded(len(name), MAX_NAME):
            if name[i] == "@":
                return name[:i]
        return name

    @property
    def enabled(self) -> bool:
        """Its `status` is okay, or it has none."""
        status = self.property("status")
        return not status.found or status.lists("okay") or status.lists("ok")

    def is_root(self) -> bool:
        return self.offset == self.tree.root_offset

    @unbounded("goes on in the structure block, which `Fdt.init` found to end")
    def properties(self) -> Iterator[Property]:
        token = self.tree.next_token(self.tree.token(self.offset).after)
        while token.kind == PROPERTY:
            yield self.tree.property_at(token.offset)
            token = self.tree.next_token(token.after)

    def property(self, name: str) -> Property:
        for candidate in self.properties():
            if candidate.name == name:
                return candidate
        return Property(False, name, Bytes(0, 0))

    def has(self, name: str) -> bool:
        return self.property(name).found

    def is_compatible(self, wanted: str) -> bool:
        return self.property("compatible").lists(wanted)

    @unbounded("goes on in the structure block, which `Fdt.init` found to end")
    def children(self) -> Iterator["Node"]:
        depth: u32 = 0
        token = self.tree.next_token(self.tree.token(self.offset).after)
        while token.kind != END_NODE or depth != 0:
            if token.kind == BEGIN_NODE:
                depth += 1
                if depth == 1:
                    yield Node(self.tree, token.offset)
            elif token.kind == END_NODE:
                depth -= 1
            token = self.tree.next_token(token.after)

    @unbounded("goes on in the structure block, which `Fdt.init` found to end")
    def descendants(self) -> Iterator["Node"]:
        """This node and all below it, parents before their children."""
        depth: u32 = 0
        token = self.tree.token(self.offset)
        while token.kind == BEGIN_NODE or depth != 0:
            if token.kind == BEGIN_NODE:
                depth += 1
                yield Node(self.tree, token.offset)
            elif token.kind == END_NODE:
                depth -= 1
                if depth == 0:
                    break
            token = self.tree.next_token(token.after)

    @raises
    def child(self, name: str) -> "Node":
        """By its full name, or by the name without the unit address, which then finds the first. ENOENT: none."""
        for node in self.children():
            if node.name == name or node.base_name == name:
                return node
        raise Errno.ENOENT

    @raises
    @unbounded("goes on in the structure block up to this node, which `Fdt.init` found in it")
    def parent(self) -> "Node":
        """Found by a walk from the root. ENOENT: this is the root."""
        above = Path()
        token = self.tree.token(self.tree.root_offset)
        while token.offset != self.offset:
            if token.kind == BEGIN_NODE:
                above.enter(token.offset)
            elif token.kind == END_NODE:
                above.leave()
            token = self.tree.next_token(token.after)
        if above.depth == 0:
            raise Errno.ENOENT
        return Node(self.tree, above.last())

    @raises
    def address_cells(self) -> u32:
        """How many cells an address takes in the children's `reg`. EINVAL: the property is malformed."""
        cells = self.property("#address-cells")
        return cells.cell() if cells.found else DEFAULT_ADDRESS_CELLS

    @raises
    def size_cells(self) -> u32:
        """How many cells a size takes in the children's `reg`. EINVAL: the property is malformed."""
        cells = self.property("#size-cells")
        return cells.cell() if cells.found else DEFAULT_SIZE_CELLS

    @raises
    def reg_count(self) -> u32:
        """How many entries `reg` has; none without it. ENOENT: the root has no `reg`. EINVAL: the length is no multiple
        of an entry's.
        """
        parent = self.parent()
        cells = parent.address_cells() + parent.size_cells()
        reg = self.property("reg")
        if cells == 0 or cells > 2 * MAX_CELLS or reg.bytes.length % u64(cells * 4) != 0:
            raise Errno.EINVAL
        return reg.count // cells

    @raises
    def raw_reg(self, index: u32) -> Region:
        """An entry of `reg` as the parent bus numbers it (of a CPU: its hardware id). EINVAL: no such entry."""
        parent = self.parent()
        return _entry(self.property("reg"), index, parent.address_cells(), parent.size_cells())

    @raises
    @unbounded("each step goes to the parent")
    def reg(self, index: u32) -> Region:
        """An entry of `reg` as the CPU sees it: translated through the `ranges` of every bus above. EINVAL: no such
        entry, or a bus does not pass it on.
        """
        region = self.raw_reg(index)
        bus = self.parent()
        while not bus.is_root():
            above = bus.parent()
            region = _translated(region, bus, above)
            bus = above
        return region


class Path:
    """The nodes above a place in the structure block."""

    offsets: array[u32, MAX_DEPTH]
    depth: u32

    def enter(self, offset: u32) -> None:
        self.offsets[self.depth] = offset
        self.depth += 1

    def leave(self) -> None:
        self.depth -= 1

    def last(self) -> u32:
        return self.offsets[self.depth - 1]


class Fdt:
    """A tree that has been checked. It refers to the blob."""

    structure: Bytes
    strings: Bytes
    reserved: Bytes
    root_offset: u32
    size: u32

    @raises
    def init(self, blob: Bytes) -> None:
        """EINVAL: not a flattened device tree of version 16 or 17, a malformed one, or one beyond the limits above."""
        if not blob.holds(0, HEADER_SIZE) or blob.be32(0) != MAGIC:
            raise Errno.EINVAL
        self.size = blob.be32(AT_TOTAL_SIZE)
        version = blob.be32(AT_VERSION)
        if version < OLDEST_VERSION or blob.be32(AT_LAST_COMPATIBLE) > VERSION:
            raise Errno.EINVAL
        if self.size > MAX_SIZE or not blob.holds(0, u64(self.size)):
            raise Errno.EINVAL
        whole = blob.part(0, u64(self.size))
        structure = blob.be32(AT_STRUCTURE)
        reservations = blob.be32(AT_RESERVATIONS)
        if structure % 4 != 0 or structure > self.size or reservations > self.size:
            raise Errno.EINVAL
        # Version 16 does not say how large the structure block is: its END token ends it.
        structure_size = blob.be32(AT_STRUCTURE_SIZE) if version >= VERSION else self.size - structure
        self.structure = _block(whole, structure, structure_size)
        self.strings = _block(whole, blob.be32(AT_STRINGS), blob.be32(AT_STRINGS_SIZE))
        self.reserved = whole.rest(u64(reservations))
        self._check_reservations()
        self._check_structure()

    def root(self) -> Node:
        return Node(self, self.root_offset)

    @unbounded("goes on in the structure block, which `init` found to end")
    def nodes(self) -> Iterator[Node]:
        """Every node, parents before their children."""
        token = self.token(self.root_offset)
        while token.kind != END:
            if token.kind == BEGIN_NODE:
                yield Node(self, token.offset)
            token = self.next_token(token.after)

    def compatible(self, wanted: str) -> Iterator[Node]:
        """Every node whose `compatible` lists the text."""
        for node in self.nodes():
            if node.is_compatible(wanted):
                yield node

    @raises
    def find(self, path: str) -> Node:
        """By an absolute path, such as /cpus/cpu@0; a name may leave out its unit address. ENOENT: no such node."""
        node = self.root()
        for name in Fields(path, "/"):
            if len(name) != 0:
                node = node.child(name)
        return node

    @raises
    def by_phandle(self, handle: u32) -> Node:
        """ENOENT: no node has it."""
        for node in self.nodes():
            phandle = node.property("phandle")
            if phandle.bytes.length == 4 and phandle.bytes.be32(0) == handle:
                return node
        raise Errno.ENOENT

    @unbounded("`init` found the entry that ends the list")
    def reservations(self) -> Iterator[Region]:
        """The memory that the header reserves."""
        at: u64 = 0
        region = Region(self.reserved.be64(0), self.reserved.be64(8))
        while region.start != 0 or region.size != 0:
            yield region
            at += 16
            region = Region(self.reserved.be64(at), self.reserved.be64(at + 8))

    def token(self, offset: u32) -> Token:
        """The token at `offset` of the checked structure block."""
        kind = self.structure.be32(u64(offset))
        after = u64(offset) + 4
        if kind == BEGIN_NODE:
            after += len(self.structure.string(after)) + 1
        elif kind == PROPERTY:
            after += 8 + u64(self.structure.be32(after))
        return Token(kind, offset, u32(after + 3 & ~u64(3)))

    @unbounded("goes on in the structure block, which `init` found to end")
    def next_token(self, offset: u32) -> Token:
        """The first token from `offset` on that is no NOP."""
        token = self.token(offset)
        while token.kind == NOP:
            token = self.token(token.after)
        return token

    def property_at(self, offset: u32) -> Property:
        at = u64(offset)
        length = self.structure.be32(at + 4)
        name = self.strings.string(u64(self.structure.be32(at + 8)))
        return Property(True, name, self.structure.part(at + 12, u64(length)))

    @raises
    def _check_reservations(self) -> None:
        for i in range(MAX_RESERVATIONS):
            if not self.reserved.holds(u64(i) * 16, 16):
                raise Errno.EINVAL
            if self.reserved.be64(u64(i) * 16) == 0 and self.reserved.be64(u64(i) * 16 + 8) == 0:
                return
        raise Errno.EINVAL

    @raises
    @unbounded("each token is at least four bytes of the structure block")
    def _check_structure(self) -> None:
        """One root; properties before children; every token, name and value inside its block."""
        depth: u32 = 0
        roots: u32 = 0
        properties_allowed = False
        token = self._checked_token(0)
        while token.kind != END:
            if token.kind == BEGIN_NODE:
                if depth == 0:
                    self.root_offset = token.offset
                    roots += 1
                depth += 1
                properties_allowed = True
            elif token.kind == END_NODE:
                if depth == 0:
                    raise Errno.EINVAL
                depth -= 1
                properties_allowed = False
            elif token.kind == PROPERTY and not properties_allowed:
                raise Errno.EINVAL
            if depth > MAX_DEPTH or roots > 1:
                raise Errno.EINVAL
            token = self._checked_token(token.after)
        if depth != 0 or roots != 1:
            raise Errno.EINVAL

    @raises
    def _checked_token(self, offset: u32) -> Token:
        """EINVAL: no token stands at `offset`, or it, its name or its value leaves its block."""
        at = u64(offset)
        if not self.structure.holds(at, 4):
            raise Errno.EINVAL
        kind = self.structure.be32(at)
        if kind == BEGIN_NODE:
            _check_name(self.structure, at + 4)
        elif kind == PROPERTY:
            if not self.structure.holds(at, 12) or not self.structure.holds(at + 12, u64(self.structure.be32(at + 4))):
                raise Errno.EINVAL
            _check_name(self.strings, u64(self.structure.be32(at + 8)))
        elif kind != END_NODE and kind != NOP and kind != END:
            raise Errno.EINVAL
        return self.token(offset)


@raises
def _check_name(block: Bytes, offset: u64) -> None:
    """EINVAL: no text of at most MAX_NAME bytes with a zero behind stands there."""
    for i in range(MAX_NAME + 1):
        if not block.holds(offset + u64(i), 1):
            raise Errno.EINVAL
        if block.byte(offset + u64(i)) == 0:
            return
    raise Errno.EINVAL


@raises
def _block(whole: Bytes, offset: u32, size: u32) -> Bytes:
    if not whole.holds(u64(offset), u64(size)):
        raise Errno.EINVAL
    return whole.part(u64(offset), u64(size))


@raises
def _entry(reg: Property, index: u32, address_cells: u32, size_cells: u32) -> Region:
    """An entry of a `reg` property. EINVAL: no such entry, or cells that make no 64-bit number."""
    if address_cells == 0 or address_cells > MAX_CELLS or size_cells > MAX_CELLS or index >= reg.count:
        raise Errno.EINVAL
    first = index * (address_cells + size_cells)
    return Region(reg.number(first, address_cells), reg.number(first + address_cells, size_cells))


@raises
def _translated(region: Region, bus: Node, above: Node) -> Region:
    """A region of a bus in the numbers of the bus above. EINVAL: no entry of `ranges` holds it whole."""
    ranges = bus.property("ranges")
    if not ranges.found:
        raise Errno.EINVAL
    if ranges.bytes.length == 0:  # both buses number alike
        return region
    child_cells = bus.address_cells()
    parent_cells = above.address_cells()
    size_cells = bus.size_cells()
    if child_cells > MAX_CELLS or parent_cells > MAX_CELLS or size_cells > MAX_CELLS:
        raise Errno.EINVAL
    step = child_cells + parent_cells + size_cells
    if step == 0:
        raise Errno.EINVAL
    for i in bounded(ranges.count // step, MAX_ENTRIES):
        child = ranges.number(i * step, child_cells)
        parent = ranges.number(i * step + child_cells, parent_cells)
        size = ranges.number(i * step + child_cells + parent_cells, size_cells)
        offset = region.start - child
        if region.start >= child and offset <= size and region.size <= size - offset:
            return Region(parent + offset, region.size)
    raise Errno.EINVAL
