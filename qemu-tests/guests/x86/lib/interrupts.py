"""Interrupts of a unikernel: the table, who takes what, and the local APIC as x2APIC (Intel SDM 3A, 10.12)."""

from guests.x86.lib.cpu import load_idt, read_msr, write32, write_msr
from guests.x86.lib.hypercall import POWER_OFF, end
from guests.x86.lib.text import line
from hv.lang import Callable, Final, address_of, aligned, array, export, ptr, symbol, truncate, u8, u16, u32, u64

APIC_BASE: Final[u32] = 0x1B
APIC_PAGE: Final[u64] = 0xFEE0_0000
X2APIC: Final[u64] = 1 << 10
X2APIC_REGISTERS: Final[u32] = 0x800
EOI: Final[u32] = 0x0B
SVR: Final[u32] = 0x0F
ICR: Final[u32] = 0x30
LVT_TIMER: Final[u32] = 0x32
INITIAL_COUNT: Final[u32] = 0x38
CURRENT_COUNT: Final[u32] = 0x39
DIVIDE: Final[u32] = 0x3E
SELF_IPI: Final[u32] = 0x3F
GATE: Final[u64] = 0x8E00 << 32 | 8 << 16
STUB_BYTES: Final[u64] = 16
VECTORS: Final = 256
FIRST_INTERRUPT: Final[u64] = 32
SELECTOR: Final[u64] = 8  # behind the flag


@aligned(4096)
class Table:
    words: array[u64, 512]


class Pointer:
    parts: array[u16, 5]


class Taken:
    """How often each vector came."""

    count: array[u64, VECTORS]
    survives: bool  # exceptions have a function of their own: vector, address of the frame
    exception: Callable[[u64, u64], None]


class Upcall:
    """The vector that is taken for events beside the local APIC: no end of interrupt, but the flag and the selector of
    vcpu_info are cleared.
    """

    vector: u64
    flag: u64  # address of vcpu_info, which begins with it; 0: there is none


table: Final = Table()
taken: Final = Taken()
upcall: Final = Upcall()


@export
def guest_trap(vector: u64, error: u64, frame: u64) -> None:
    if vector < FIRST_INTERRUPT:
        if taken.survives:
            taken.exception(vector, frame)
            return
        line(f"exception {vector} error {error:#x} rip {ptr[u64](frame)[0]:#x}")
        line("DONE guest fail")
        end(POWER_OFF)
    taken.count[vector] += 1
    if upcall.flag != 0 and vector == upcall.vector:
        ptr[u8](upcall.flag)[0] = 0
        ptr[u64](upcall.flag + SELECTOR)[0] = 0
        return
    if read_msr(APIC_BASE) & X2APIC != 0:
        write(EOI, 0)
    else:
        write32(at(EOI), 0)


def at(register: u32) -> u64:
    """Where a register lies while x2APIC is off."""
    return APIC_PAGE + u64(register) * 16


def fill_table() -> None:
    """On this CPU."""
    for vector in range(VECTORS):
        stub = symbol("vectors") + u64(vector) * STUB_BYTES
        table.words[vector * 2] = stub & 0xFFFF | GATE | (stub >> 16 & 0xFFFF) << 48
        table.words[vector * 2 + 1] = stub >> 32
    pointer = Pointer()
    set_pointer(pointer, address_of(table), VECTORS * 16 - 1)
    load_idt(address_of(pointer))


def set_pointer(pointer: Pointer, place: u64, limit: u16) -> None:
    """What LIDT and LGDT take."""
    pointer.parts[0] = limit
    for i in range(4):
        pointer.parts[i + 1] = truncate(u16, place >> i * 16)


def take_interrupts() -> None:
    """On this CPU: table, and local APIC on, as x2APIC."""
    fill_table()
    write_msr(APIC_BASE, read_msr(APIC_BASE) | X2APIC)
    write(SVR, 0x1FF)


def write(register: u32, value: u64) -> None:
    write_msr(X2APIC_REGISTERS + register, value)


def read(register: u32) -> u64:
    return read_msr(X2APIC_REGISTERS + register)
