"""What the tests of hv/common/lib and hv/common/kernel work on: instances of generic classes, owners of timers, and
functions that use what exists at build time alone, such as iterators and f-strings.
"""

from hv.common.kernel import log
from hv.common.kernel.console import console
from hv.common.kernel.crosscall import call_on, call_others
from hv.common.kernel.panic import panic
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import SpinLock
from hv.common.kernel.time import Ns
from hv.common.kernel.timer import Timer, TimerOwner
from hv.common.lib.bitmap import Bitmap
from hv.common.lib.fdt import Fdt, Node
from hv.common.lib.fdt_writer import FdtWriter
from hv.common.lib.format import FormatFlag, put_number
from hv.common.lib.ordered import Link, OrderedQueue
from hv.common.lib.parse import Fields, cpu_list
from hv.common.lib.ring import Ring
from hv.common.lib.text import TextBuffer
from hv.lang import Embedded, Errno, Final, Message, PerCpu, array, i64, raises, u8, u32, u64

MAX_TIMERS: Final = 8
MAX_ITEMS: Final = 16


class Containers:
    bits: Bitmap[2]
    others: Bitmap[2]
    ring: Ring[u32, 8]
    short: TextBuffer[16]


containers: Final = Containers()


def sum_of_members() -> u64:
    """Of the bitmap: by its iterator, which sees a member cleared while it is at hand."""
    total: u64 = 0
    for number in containers.bits:
        total = total * 131 + u64(number) + 1
        containers.bits.clear(number)
    return total


class Item:
    number: u32
    link: Link["Item"]


class Items:
    items: array[Item, MAX_ITEMS]
    queue: OrderedQueue[Item]


items: Final = Items()


def insert_item(number: u32, key: i64) -> None:
    item = items.items[number]
    item.number = number
    item.link.init(item)
    items.queue.insert(item.link, key)


def append_item(number: u32) -> None:
    item = items.items[number]
    item.number = number
    item.link.init(item)
    items.queue.append(item.link)


def remove_item(number: u32) -> None:
    items.queue.remove(items.items[number].link)


def pop_item() -> u32:
    """The number of the first; MAX_ITEMS when there is none."""
    item = items.queue.pop()
    return MAX_ITEMS if item is None else item.number


def item_at(place: u32) -> u32:
    """The number of the item at a place of the queue, by its iterator; MAX_ITEMS behind the last."""
    left = place
    for item in items.queue:
        if left == 0:
            return item.number
        left -= 1
    return MAX_ITEMS


# Text


class Texts:
    text: TextBuffer[65536]


texts: Final = Texts()


def begin_text() -> None:
    texts.text.clear()


def write_text(message: Message) -> str:
    texts.text.clear()
    texts.text.write(message)
    return texts.text.text


def number_text(number: u64, flags: u8, width: u32, negative: bool) -> str:
    texts.text.clear()
    put_number(texts.text, number, FormatFlag(flags), width, negative)
    return texts.text.text


def mixed_text(a: u32, b: i64, name: str, yes: bool) -> str:
    return write_text(f"a={a} {a:#x} {a:08x} {a:5}|b={b} {b:6}|{name}|{name:8}|{yes}|{name[0]}")


def level_text(level: log.Level) -> str:
    return write_text(f"level {level.name}")


def field_lengths(text: str) -> u64:
    """Of the parts between commas: each as a digit to the base 32, from the first."""
    total: u64 = 0
    for part in Fields(text, ","):
        total = total * 32 + len(part) + 1
    return total


@raises
def cpus_of(text: str) -> None:
    containers.bits.clear_all()
    cpu_list(text, containers.bits)


# Device trees


class Trees:
    tree: Embedded[Fdt]
    writer: Embedded[FdtWriter]


trees: Final = Trees()


def begin_node(name: str) -> None:
    trees.writer.begin_node(f"{name}")


def put_string(text: str) -> None:
    trees.writer.put_text(f"{text}")


@raises
def write_small_tree(base: u64) -> u64:
    """With scopes, into the writer's buffer. Returns its size."""
    tree = trees.writer
    with tree.node(""):
        tree.cell("#address-cells", 2)
        tree.empty("dma-coherent")
        with tree.node(f"memory@{base:x}"):
            tree.text("device_type", "memory")
            tree.wide("base", base)
            with tree.property("reg"):
                tree.put_wide(base)
                tree.put_wide(4096)
        if base == 0:
            return 0
        with tree.node("chosen"):
            with tree.property("compatible"):
                tree.put_text("a")
                tree.put_text(f"b{base}")
    return tree.finish()


def dump_tree() -> str:
    """Every node with its path's names above it, its properties, and where each entry of its `reg` lies."""
    texts.text.clear()
    for reservation in trees.tree.reservations():
        texts.text.write(f"reserved {reservation.start:#x} {reservation.size:#x}\n")
    for node in trees.tree.nodes():
        _dump_node(node)
    return texts.text.text


def _dump_node(node: Node) -> None:
    try:
        parent = node.parent()
        texts.text.write(f"node {parent.name}/{node.name}\n")
    except Errno:
        texts.text.write("root\n")
    for property in node.properties():
        texts.text.write(f" {property.name} =")
        for i in range(256):
            if u64(i) < property.bytes.length:
                texts.text.write(f" {property.bytes.byte(u64(i)):02x}")
        texts.text.write("\n")
    for child in node.children():
        texts.text.write(f" child {child.base_name}\n")
    for i in range(4):
        try:
            region = node.reg(i)
            texts.text.write(f" at {region.start:#x} {region.size:#x}\n")
        except Errno as e:
            texts.text.write(f" {e.name}\n")
            break


def strings_of(path: str, name: str) -> str:
    """The strings of a property's list, each in angle brackets."""
    texts.text.clear()
    try:
        for text in trees.tree.find(path).property(name):
            texts.text.write(f"<{text}>")
    except Errno as e:
        texts.text.write(f"{e.name}")
    return texts.text.text


def compatible_names(wanted: str) -> str:
    texts.text.clear()
    for node in trees.tree.compatible(wanted):
        texts.text.write(f"{node.name},")
    return texts.text.text


# Timers


class SampleTimer(TimerOwner):
    timer: Embedded[Timer]
    count: u32
    told: Ns
    period: u64  # sets itself again so much after each deadline; 0: does not

    def expired(self, now: Ns) -> None:
        self.count += 1
        self.told = now
        if self.period != 0:
            self.timer.set(Ns(self.timer.deadline + self.period))


timers: Final[array[SampleTimer, MAX_TIMERS]] = array()


def init_timer(number: u32) -> None:
    timers[number].timer.init(timers[number])


# Cross calls


class Calls(PerCpu):
    count: u32
    last: u64


def note_call(argument: u64) -> None:
    calls = Calls.this()
    calls.count += 1
    calls.last = argument


def call_sample_on(cpu: u32, argument: u64) -> None:
    call_on(cpu, note_call, argument)


def call_sample_on_others(argument: u64) -> None:
    call_others(note_call, argument)


# Lines


def print_anyway(text: str) -> None:
    console.print_anyway(f"{text}")


def print_line(text: str) -> None:
    console.print(f"{text}")


def log_line(level: u8, text: str) -> None:
    match level:
        case 0:
            log.error(f"{text}")
        case 1:
            log.warning(f"{text}")
        case 2:
            log.info(f"{text}")
        case 3:
            log.debug(f"{text}")
        case _:
            log.guest(f"{text}")


def panic_with(text: str) -> None:
    panic(f"{text}")


# Locks


class Locks:
    heap: SpinLock[Rank.HEAP]
    timer: SpinLock[Rank.TIMER]
    count: u32


locks: Final = Locks()


def take_in_order() -> None:
    with locks.heap, locks.timer:
        locks.count += 1


def take_out_of_order() -> None:
    with locks.timer, locks.heap:
        locks.count += 1


def take_twice() -> None:
    with locks.heap, locks.heap:
        locks.count += 1


def call_with_lock(argument: u64) -> None:
    with locks.heap:
        call_others(note_call, argument)
