"""Five small functions as hypervisor code has them; kernels.c has them as a careful person writes them in C."""

from hv.lang import Bits, Field, Final, array, bounded, u8, u32, u64, unbounded

SIZE: Final = 4096
NODES: Final = 64
SLOTS: Final = 256
TABLES: Final = 8


class Ring:
    data: array[u8, SIZE]
    head: u32


class Node:
    next: "Node | None"
    deadline: u64


class Slot:
    key: u64
    number: u64


class Entry(Bits[u64]):
    present = Field(0)
    block = Field(1)
    frame = Field(47, 12)


class Table:
    entries: array[Entry, 512]


ring: Final = Ring()
source: Final[array[u8, SIZE]] = array()
nodes: Final[array[Node, NODES]] = array()
first: Node | None = None
slots: Final[array[Slot, SLOTS]] = array()
tables: Final[array[Table, TABLES]] = array()
crc_table: Final[array[u32, 256]] = array()


def ring_copy(n: u32) -> u64:
    """Copies n bytes into a ring, at most as many as it has."""
    head = ring.head
    for i in bounded(n, SIZE):
        ring.data[(head + i) % SIZE] = source[i]
    ring.head = head + n
    return u64(ring.head)


@unbounded("the list ends")
def insert(node: Node) -> None:
    global first
    if first is None or node.deadline < first.deadline:
        node.next = first
        first = node
        return
    before = first
    while True:
        after = before.next
        if after is None or node.deadline < after.deadline:
            break
        before = after
    node.next = before.next
    before.next = node


def ordered_insert(seed: u64) -> u64:
    """Puts nodes with deadlines from a generator into a list by deadline."""
    x = seed
    for node in nodes:
        x = x * 6364136223846793005 + 1442695040888963407
        node.deadline = x >> 33
        insert(node)
    return 0 if first is None else first.deadline


def hashed(key: u64) -> u32:
    return u32((key * 0x9E3779B97F4A7C15) >> 56)


def put(key: u64, number: u64) -> bool:
    at = hashed(key)
    for i in range(SLOTS):
        slot = slots[(at + i) % SLOTS]
        if slot.key == 0:
            slot.key = key
            slot.number = number
            return True
    return False


def find(key: u64) -> u64:
    at = hashed(key)
    for i in range(SLOTS):
        slot = slots[(at + i) % SLOTS]
        if slot.key == key:
            return slot.number
        if slot.key == 0:
            break
    return 0


def hash_look_up(n: u32) -> u64:
    """Fills a table with n keys and looks up twice as many."""
    for i in bounded(n, SLOTS):
        put(u64(i) * 7 + 1, u64(i) * 3)
    sum: u64 = 0
    for i in bounded(n * 2, SLOTS * 2):
        sum += find(u64(i) * 7 + 1)
    return sum


def translated(address: u64) -> u64:
    """Four levels of 9 bits; an entry's frame is the number of a table, or what the address lies in."""
    table: u64 = 0
    for height in range(3, -1, -1):
        entry = tables[table].entries[(address >> (12 + 9 * u32(height))) % 512]
        if not entry.present:
            return 0
        if entry.block or height == 0:
            inside = (u64(1) << (12 + 9 * u32(height))) - 1
            return (entry.frame << 12) + (address & inside)
        table = entry.frame
    return 0


def page_table_walk(n: u32) -> u64:
    """Maps a few pages and walks n addresses."""
    tables[0].entries[0] = Entry(present=True, frame=1)
    tables[1].entries[1] = Entry(present=True, frame=2)
    tables[2].entries[3] = Entry(present=True, frame=3)
    tables[2].entries[4] = Entry(present=True, block=True, frame=0x500)
    for i in range(512):
        tables[3].entries[i] = Entry(present=i % 3 != 0, frame=u64(i) + 77)
    sum: u64 = 0
    for i in bounded(n, 1024):
        sum += translated(0x40600000 + u64(i) * 4096 + 5)
    return sum


def crc(n: u32) -> u64:
    """CRC-32 (IEEE 802.3) by a table over n bytes."""
    for i in range(256):
        remainder = i
        for _ in range(8):
            remainder = (remainder >> 1) ^ (0xEDB88320 if remainder & 1 != 0 else 0)
        crc_table[i] = remainder
    sum: u32 = 0xFFFFFFFF
    for i in bounded(n, SIZE):
        sum = crc_table[(sum ^ u32(source[i])) & 0xFF] ^ (sum >> 8)
    return u64(sum ^ 0xFFFFFFFF)
