"""A PVH guest that says what it finds: its start information, Xen's leaves, hypercalls in both ways, the text port.

It ends with a line that begins with DONE, and turns itself off.
"""

from guests.x86.lib.cpu import cpuid, in8, out8, write_msr
from guests.x86.lib.hypercall import CONSOLE_IO, CONSOLE_WRITE, POWER_OFF, XEN_VERSION, call_page, end, hypercall
from guests.x86.lib.text import line
from hv.common.lib.span import Bytes
from hv.lang import Final, Message, address_of, aligned, array, export, u8, u16, u32, u64

MAGIC: Final[u32] = 0x336E_C578
XEN: Final[u32] = 0x4000_0000
TEXT_PORT: Final[u16] = 0xE9
VERSION_4_17: Final[u64] = 4 << 16 | 17
ENTRY_BYTES: Final[u64] = 32
LONG: Final = 1001  # bytes
FOUR_GIB: Final[u64] = 0x1_0000_0000


@aligned(4096)
class Page:
    bytes: array[u8, 4096]


class Text:
    bytes: array[u8, LONG]


page: Final = Page()
text: Final = Text()


@export
def guest_main(information: u64) -> None:
    start = Bytes(information, 56)
    check(start.le32(0) == MAGIC and start.le32(4) == 1, "no start information of version 1")
    entries = start.le32(48)
    check(entries >= 1, "no memory map")
    entry = Bytes(start.le64(40), 24)
    check(entry.le64(0) == 0 and entry.le32(16) == 1, "no memory at the beginning")
    line(f"memory {entry.le64(8) >> 20} MiB, command line <{Bytes(start.le64(24), 256).string(0)}>")
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
    check(in8(0x61) == 0xFF, "a port that is none")
    put_text("text by the port\n")
    long_text()
    line("READY hello")
    line("DONE hello ok")
    end(POWER_OFF)


def check(right: bool, what: Message) -> None:
    if not right:
        line(what)
        line("DONE hello fail")
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
