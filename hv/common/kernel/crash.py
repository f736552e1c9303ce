"""Faults on purpose, in debug builds: `crash=KIND` on the command line makes one when the machine is up. `crash=hang`
has the boot CPU hang with interrupts masked, `crash=hang-call` another CPU, for which the boot CPU waits.

They show what a panic looks like, and let tests see that each kind of fault is caught.
"""

from hv.arch import cpu_id
from hv.common.kernel.cpus import online
from hv.common.kernel.crosscall import call_on
from hv.common.kernel.options import options
from hv.common.kernel.panic import panic
from hv.lang import Atomic, Callable, Final, address_of, array, ptr, symbol, u8, u32, u64, unbounded

FULL: Final = 0x4000  # bytes: as much as a stack has

asked: str = ""


class Table:
    entries: array[u64, 4]


class TooLarge:
    bytes: array[u8, FULL]


class Indirect:
    """Keeps the large frame out of the caller's."""

    call: Callable[[], None]


class Word:
    """Laid out as `Indirect` is."""

    target: u64


table: Final = Table()
data: Final = Word()
deep: Final = Indirect()
freed: Final = Atomic[u32]()


@options.entry(name="crash")
def crash(text: str) -> bool:
    global asked
    asked = text
    deep.call = hang if text == "hang" else fill_stack
    data.target = address_of(table)
    return text in (
        "assert",
        "index",
        "null",
        "read",
        "write",
        "execute",
        "overflow",
        "range",
        "panic",
        "hang",
        "hang-call",
    )


def crash_if_asked(unmapped: u64) -> None:
    """`unmapped`: an address where nothing is."""
    if asked == "assert":
        assert table.entries[0] == 1, "an assertion on purpose"
    if asked == "index":
        table.entries[4 + table.entries[0]] = 1
    if asked == "null":
        ptr[Table](table.entries[0]).ref().entries[0] = 1
    if asked == "read":
        table.entries[0] = ptr[u64](unmapped)[0]
    if asked == "write":
        ptr[u64](symbol("__text_start"))[0] = 0
    if asked == "execute":
        ptr[Indirect](address_of(data)).ref().call()
    if asked == "overflow" or asked == "hang":
        deep.call()
    if asked == "range":
        table.entries[0] = u64(u8(table.entries[0] + 256))
    if asked == "panic":
        panic("on purpose")
    if asked == "hang-call":
        call_on(1 if 1 in online else cpu_id(), hang_there, 0)


@unbounded("to hang is what is asked")
def hang() -> None:
    while freed.load() == 0:
        pass


def hang_there(argument: u64) -> None:
    """In a call from another CPU, which waits for it."""
    hang()


def fill_stack() -> None:
    large = TooLarge()
    for i in range(FULL):
        large.bytes[i] = u8(i & 0xFF)
    table.entries[0] = u64(large.bytes[table.entries[0]])
