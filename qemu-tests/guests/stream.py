"""Two guests and a stream of numbers through memory that they share: what one writes, the other checks.

The memory holds how many numbers were written, how many were read, how many lives the writer has had, and a ring of
numbers. `write=1` makes a guest the writer, which in the middle of its `count` numbers crashes, and in its next life
goes on where it was. The reader runs on all the time, and gives up when a number is wrong, or none comes for a minute.
"""

from guests.lib import exceptions  # noqa: F401 (the assembly calls it)
from guests.lib.arguments import LARGEST, argument
from guests.lib.cpu import complete_all
from guests.lib.ending import give_up
from guests.lib.hypercall import crash, power_off
from guests.lib.mmio import read64, write64
from guests.lib.text import line
from guests.lib.timer import counter, milliseconds
from guests.lib.uart import uart
from hv.common.lib.fdt import Fdt, Region
from hv.common.lib.span import Bytes
from hv.lang import Errno, Final, export, raises, u64, unbounded

WRITTEN: Final[u64] = 0x00
READ: Final[u64] = 0x08
LIVES: Final[u64] = 0x10
RING: Final[u64] = 0x1000
SLOTS: Final[u64] = 512
PATIENCE: Final[u64] = 60_000  # milliseconds
LIFE: Final[u64] = 1_100  # milliseconds; who crashes earlier is not built again (hv/common/builder/lifecycle.py)
ODD: Final[u64] = 0x9E37_79B9_7F4A_7C15

tree: Final = Fdt()


class Stream:
    start: u64  # of the memory
    count: u64

    def load(self, offset: u64) -> u64:
        return read64(self.start + offset)

    def store(self, offset: u64, value: u64) -> None:
        """When what was done before is seen by the other guest."""
        complete_all()
        write64(self.start + offset, value)

    def slot(self, number: u64) -> u64:
        return RING + number % SLOTS * 8

    @unbounded("gives up when the other guest does nothing")
    def wait(self, offset: u64, value: u64) -> None:
        """Until the number there is another."""
        end = counter() + milliseconds(PATIENCE)
        while self.load(offset) == value:
            if counter() > end:
                give_up(f"nothing happens behind number {value}")
        complete_all()

    @unbounded("each round writes a number")
    def write(self) -> None:
        began = counter()
        lives = self.load(LIVES) + 1
        self.store(LIVES, lives)
        written = self.load(WRITTEN)
        line(f"READY writer, life {lives}, at number {written}")
        while written < self.count:
            if written - self.load(READ) == SLOTS:
                self.wait(READ, written - SLOTS)
            self.store(self.slot(written), mixed(written))
            written += 1
            self.store(WRITTEN, written)
            if lives == 1 and written == self.count // 2:
                grow_old(began)
                crash()

    @unbounded("each round reads a number")
    def read(self) -> None:
        read = self.load(READ)
        line(f"READY reader, at number {read}")
        while read < self.count:
            if self.load(WRITTEN) == read:
                self.wait(WRITTEN, read)
            found = self.load(self.slot(read))
            if found != mixed(read):
                give_up(f"number {read} is {found:#x}")
            read += 1
            self.store(READ, read)


stream: Final = Stream()


@unbounded("time passes")
def grow_old(began: u64) -> None:
    while counter() - began < milliseconds(LIFE):
        pass


def mixed(number: u64) -> u64:
    return (number + 1) * ODD ^ number >> 3


@raises
def shared_memory(address: u64) -> Region:
    """As the device tree at the address has it. ENOENT, EINVAL: it has none."""
    node = tree.find("/reserved-memory/xen-shmem")
    if not node.is_compatible("xen,shared-memory-v1") or node.property("xen,id").string() != "stream":
        raise Errno.ENOENT
    return node.reg(0)


@raises
def find_uart(address: u64) -> None:
    """Where the device tree has it. ENOENT, EINVAL: nowhere."""
    tree.init(Bytes(address, LARGEST))
    for node in tree.compatible("arm,sbsa-uart"):
        uart.move(node.reg(0).start)
        return
    raise Errno.ENOENT


@export
def guest_main(address: u64) -> None:
    try:
        find_uart(address)
    except Errno as e:
        give_up(f"no UART ({e.name})")
    uart.init()
    try:
        stream.start = shared_memory(address).start
    except Errno as e:
        give_up(f"no shared memory ({e.name})")
    stream.count = argument(address, "count", 1000)
    if argument(address, "write", 0) != 0:
        stream.write()
        line("DONE writer ok")
    else:
        stream.read()
        line(f"DONE reader ok {stream.count} numbers")
    power_off()
