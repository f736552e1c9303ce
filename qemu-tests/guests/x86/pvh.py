"""A PVH guest that says what it finds: its start information, Xen's leaves, hypercalls in both ways, the text port.

It ends with a line that begins with DONE, and turns itself off.
"""

from guests.x86.lib.cpu import cpuid, in8, out8, write_msr
from guests.x86.lib.hypercall import (
    CONSOLE_IO,
    CONSOLE_WRITE,
    EFAULT,
    EINVAL,
    ENOSYS,
    MEMORY_OP,
    MULTICALL,
    POWER_OFF,
    XEN_VERSION,
    AddToPhysmap,
    MemoryMap,
    call_page,
    end,
    hypercall,
    hypercall_prefixed,
)
from guests.x86.lib.text import line
from hv.common.lib.span import Bytes
from hv.lang import Final, Message, address_of, aligned, array, bounded, export, ptr, u8, u16, u32, u64

MAGIC: Final[u32] = 0x336E_C578
XEN: Final[u32] = 0x4000_0000
TEXT_PORT: Final[u16] = 0xE9
VERSION_4_17: Final[u64] = 4 << 16 | 17
ENTRY_BYTES: Final[u64] = 32
MAP_BYTES: Final[u64] = 24  # of a region in the start information
RAM: Final[u32] = 1
RESERVED: Final[u32] = 2
ACPI: Final[u32] = 3
LONG: Final = 1001  # bytes
FOUR_GIB: Final[u64] = 0x1_0000_0000
SELF: Final[u16] = 0x7FF0
SHARED: Final[u64] = 0xF800_0000  # where there is no memory
MOVED: Final[u64] = 0x80_0000  # in memory
MARK: Final[u64] = 0x5EED_5EED_5EED_5EED


@aligned(4096)
class Page:
    bytes: array[u8, 4096]


class Text:
    bytes: array[u8, LONG]


class Calls:
    words: array[u64, 128]


page: Final = Page()
calls: Final = Calls()
text: Final = Text()


@export
def guest_main(information: u64) -> None:
    start = Bytes(information, 56)
    check(start.le32(0) == MAGIC and start.le32(4) == 1, "no start information of version 1")
    line(f"memory {check_map(start) >> 20} MiB, command line <{Bytes(start.le64(24), 256).string(0)}>")
    highest, b, c, d = cpuid(XEN, 0)
    check(highest >= XEN + 2, "no Xen's leaves")
    check(b == 0x566E_6558 and c == 0x6558_4D4D and d == 0x4D4D_566E, "no XenVMMXenVMM")
    version, _, _, _ = cpuid(XEN + 1, 0)
    check(u64(version) == VERSION_4_17, "another version of Xen")
    check(hypercall(XEN_VERSION, 0, 0, 0) == VERSION_4_17, "xen_version by VMMCALL")
    check(hypercall(45, 0, 0, 0) == ~u64(37), "a hypercall that is none")
    pages, register, _, _ = cpuid(XEN + 2, 0)
    check(pages == 1, "no hypercall page")
    write_msr(register, address_of(page))
    check(call_page(address_of(page) + XEN_VERSION * ENTRY_BYTES, 0, 0, 0) == VERSION_4_17, "xen_version by the page")
    check(hypercall(XEN_VERSION, 1, FOUR_GIB * 4, 0) == ~u64(13), "an answer where nothing is mapped")
    check_prefix()
    check_time_leaf()
    check_multicall()
    check_memory_map(start)
    check_acpi(Bytes(start.le64(32), 36))
    check_shared_page()
    check(in8(0x61) == 0xFF, "a port that is none")
    put_text("text by the port\n")
    long_text()
    line("READY pvh")
    line("DONE pvh ok")
    end(POWER_OFF)


def check_map(start: Bytes) -> u64:
    """The bytes of memory, with those of the ACPI tables."""
    count = start.le32(48)
    check(count == 3, "another count of regions in the memory map")
    map = Bytes(start.le64(40), u64(count) * MAP_BYTES)
    check(map.le64(0) == 0 and map.le32(16) == RAM, "no memory at the beginning")
    tables = map.rest(MAP_BYTES)
    check(tables.le64(0) == map.le64(8) and tables.le32(16) == ACPI, "no ACPI tables behind the memory")
    check(tables.le64(0) == start.le64(32), "ACPI's root pointer is not where its tables are")
    check(map.le32(2 * MAP_BYTES + 16) == RESERVED, "nothing is reserved")
    return map.le64(8) + tables.le64(8)


def check_acpi(root: Bytes) -> None:
    """What the root pointer leads to can be read, and adds up to 0."""
    check(root.text(0, 8) == "RSD PTR " and sum_of(root) == 0, "no root pointer of ACPI")
    check_table(root.le64(24), "XSDT")
    list = Bytes(root.le64(24), 52)
    check(list.le32(4) == 52, "another count of ACPI tables")
    check_table(list.le64(36), "FACP")
    check_table(list.le64(44), "APIC")
    check_table(u64(Bytes(list.le64(36), 268).le32(40)), "DSDT")


def check_table(at: u64, signature: str) -> None:
    head = Bytes(at, 36)
    check(head.text(0, 4) == signature, f"no ACPI table {signature}")
    check(
        36 <= head.le32(4) <= 4096 and sum_of(Bytes(at, u64(head.le32(4)))) == 0, f"ACPI table {signature} is damaged"
    )


def sum_of(bytes: Bytes) -> u8:
    sum: u8 = 0
    for i in bounded(bytes.length, 4096):
        sum += bytes.byte(i)
    return sum


def check_prefix() -> None:
    """A hypercall is one with a prefix as well. Where it ends only some CPUs say."""
    answer = hypercall_prefixed(XEN_VERSION, 0, 0, 0)
    if answer == VERSION_4_17:
        line("behind a prefixed hypercall")
    else:
        check(answer == VERSION_4_17 * 2, "another answer to a prefixed hypercall")
        line("in the middle of a prefixed hypercall")


def check_time_leaf() -> None:
    """What the counter's speed is said to be is how it scales to nanoseconds."""
    _, _, khz, _ = cpuid(XEN + 3, 0)
    _, _, multiplier, shift = cpuid(XEN + 3, 1)
    check(khz > 1000 and multiplier >> 31 == 1, "no speed of the counter")
    second = u64(khz) * 1000
    scaled = second << shift if shift < 128 else second >> 256 - u64(shift)
    ns = (scaled >> 4) * u64(multiplier) >> 28
    check(999_000_000 <= ns <= 1_001_000_000, "the counter scales to another speed")


def check_multicall() -> None:
    """Each entry has its answer, and one that is a list again is refused."""
    for i in range(3):
        for j in range(8):
            calls.words[8 * i + j] = 0
    calls.words[0] = XEN_VERSION
    calls.words[8] = 45
    calls.words[16] = MULTICALL
    check(hypercall(MULTICALL, address_of(calls), 3, 0) == 0, "no list of hypercalls")
    check(calls.words[1] == VERSION_4_17 and calls.words[9] == ENOSYS, "other answers in a list")
    check(calls.words[17] == EINVAL, "a list in a list")
    check(hypercall(MULTICALL, FOUR_GIB * 4, 1, 0) == EFAULT, "a list where nothing is mapped")
    check(hypercall(XEN_VERSION, 3, address_of(calls), 0) == 0, "no capabilities")
    check(calls.words[0] & 0xFFFF_FFFF == 0x2D6D_7668, "other capabilities than hvm-…")


def check_memory_map(start: Bytes) -> None:
    """That of the hypercall is that of the start information."""
    request = MemoryMap()
    request.count = start.le32(48) - 1
    request.buffer = address_of(page)
    check(hypercall(MEMORY_OP, 9, address_of(request), 0) == ~u64(21), "a memory map in too little room")
    request.count = 128
    check(hypercall(MEMORY_OP, 9, address_of(request), 0) == 0, "no memory map by hypercall")
    check(request.count == start.le32(48), "another count of regions by hypercall")
    for i in bounded(request.count, 128):
        told = Bytes(start.le64(40) + u64(i) * MAP_BYTES, MAP_BYTES)
        entry = Bytes(address_of(page) + u64(i) * 20, 20)
        same = entry.le64(0) == told.le64(0) and entry.le64(8) == told.le64(8) and entry.le32(16) == told.le32(16)
        check(same, "another memory map by hypercall")


def check_shared_page() -> None:
    """The page that is shared with the hypervisor comes where it is asked for, and moves with what it holds."""
    request = AddToPhysmap()
    request.domid = SELF
    request.size = 0
    request.space = 0
    request.idx = 0
    request.gpfn = SHARED >> 12
    check(hypercall(MEMORY_OP, 7, address_of(request), 0) == 0, "the shared page cannot be had")
    shared = ptr[u64](SHARED)
    check(shared[0] == 0, "the shared page holds something")
    shared[0] = MARK
    request.gpfn = MOVED >> 12
    check(hypercall(MEMORY_OP, 7, address_of(request), 0) == 0, "the shared page does not move")
    check(ptr[u64](MOVED)[0] == MARK, "the shared page has lost what it held")
    request.space = 7
    check(hypercall(MEMORY_OP, 7, address_of(request), 0) == ~u64(21), "a space that is none")
    request.space = 0
    request.domid = 0
    check(hypercall(MEMORY_OP, 7, address_of(request), 0) == ~u64(0), "another domain's page")


def check(right: bool, what: Message) -> None:
    if not right:
        line(what)
        line("DONE pvh fail")
        end(POWER_OFF)


def long_text() -> None:
    """More than the hypervisor takes at once: the call is made again, and again."""
    for i in range(LONG):
        text.bytes[i] = ord("0") + u8(i % 10)
    text.bytes[LONG - 1] = ord("\n")
    answer = hypercall(CONSOLE_IO, CONSOLE_WRITE, LONG, address_of(text))
    check(answer == 0, "a long text is not taken")
    check(hypercall(CONSOLE_IO, CONSOLE_WRITE, LONG, FOUR_GIB * 4) == ~u64(13), "a text where nothing is mapped")
    check(hypercall(CONSOLE_IO, 2, 0, 0) == ~u64(37), "an operation of console_io that is none")


def put_text(text: str) -> None:
    for i in range(64):
        if u64(i) < len(text):
            out8(TEXT_PORT, ord(text[i]))
