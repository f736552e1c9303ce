"""Every register of the interrupt controller and the UART, and what lies between them, by loads and stores of 1, 2, 4
and 8 bytes, of odd kinds, and by instruction fetches.

A word into which ones were written shows those that it has (registers.py). No load brings more than it asked for.
"""

from guests.accesses import ACCESSES, FIRST_ODD, LOADS, STORES, access
from guests.attempts import EXTERNAL, INSTRUCTION_ABORT, NOTHING, STATUS, Attempts, attempts
from guests.lib import gicv2, uart
from guests.lib.controller import DISTRIBUTOR
from guests.lib.cpu import CPUS
from guests.lib.gic import has_registers
from guests.lib.gicv3 import (
    DISTRIBUTOR_SIZE,
    LAST,
    PRIVATE_FRAME,
    REDISTRIBUTOR_SIZE,
    REDISTRIBUTOR_TYPER,
    REDISTRIBUTORS,
    TYPER,
)
from guests.lib.mmio import read32, read64
from guests.registers import Frame, bits_of
from guests.verdict import expect
from hv.lang import Final, u64, unbounded

ONES: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF
DENSE: Final[u64] = 0x1000  # bytes of a frame that are all gone through
ODD_STEP: Final[u64] = 0x40  # bytes between places for accesses of odd kinds
FETCH_STEP: Final[u64] = 0x1000
WIDTHS: Final = 4
WORD_WIDE: Final[u64] = 2  # of them
DOTS: Final[u64] = 0x2E2E_2E2E_2E2E_2E2E  # for the UART's data register: what it prints is for people


def sweep(step: u64, seed: u64) -> None:
    """Of the places beyond a frame's first DENSE bytes every `step`th, from where the seed says."""
    if has_registers():
        go_through(Frame.DISTRIBUTOR, DISTRIBUTOR, DISTRIBUTOR_SIZE, step, seed)
        for i in range(CPUS):
            at = REDISTRIBUTORS + REDISTRIBUTOR_SIZE * u64(i)
            last = read64(at + REDISTRIBUTOR_TYPER) & LAST != 0
            go_through(Frame.REDISTRIBUTOR, at, PRIVATE_FRAME, step, seed)
            go_through(Frame.PRIVATE, at + PRIVATE_FRAME, REDISTRIBUTOR_SIZE - PRIVATE_FRAME, step, seed)
            if last:
                break
    else:
        go_through(Frame.GICV2_DISTRIBUTOR, DISTRIBUTOR, gicv2.DISTRIBUTOR_SIZE, step, seed)
        go_through(Frame.GICV2_INTERFACE, gicv2.INTERFACE, gicv2.INTERFACE_SIZE, step, seed)
    go_through(Frame.UART, uart.BASE, uart.SIZE, step, seed)


@unbounded("the end of the frame")
def go_through(frame: Frame, base: u64, size: u64, step: u64, seed: u64) -> None:
    me = attempts[0]
    lines = u64(32) * (u64(read32(DISTRIBUTOR + TYPER) & 0x1F) + 1)
    offset: u64 = 0
    while offset < size:
        if offset < DENSE or offset // 4 % step == seed % step:
            try_word(me, frame, base, offset, lines)
        if offset % ODD_STEP == 0 and (offset < DENSE or offset // ODD_STEP % step == seed % step):
            if frame != Frame.UART or offset != 0:
                try_odd_kinds(me, base + offset)
        if offset % FETCH_STEP == 0:
            fetch(me, base + offset)
        offset += 4


def try_word(me: Attempts, frame: Frame, base: u64, offset: u64, lines: u64) -> None:
    """In all widths, and then what its 32 bits are."""
    address = base + offset
    written = DOTS if frame == Frame.UART and offset == 0 else ONES
    for width in range(WIDTHS):
        size = u64(1) << width
        for i in range(4):
            if size * u64(i) < 4 and address % size == 0:
                place = address + size * u64(i)
                me.call(access(u64(STORES + width)), place, written)
                found = me.call(access(u64(LOADS + width)), place, 0)
                if not me.caught and size < 8:
                    expect("what is above a load from", place, found >> 8 * size, 0)
    if frame == Frame.GICV2_INTERFACE:
        return
    me.call(access(STORES + WORD_WIDE), address, written)
    expect("kind of exception at", address, me.kind(), NOTHING)
    found = me.call(access(LOADS + WORD_WIDE), address, 0)
    bits = bits_of(frame, offset, lines)
    expect("register", address, found & ~(bits.ever & ~bits.always), bits.always)


def try_odd_kinds(me: Attempts, address: u64) -> None:
    for kind in range(FIRST_ODD, ACCESSES):
        me.call(access(u64(kind)), address + u64(kind), ONES)
        me.call(access(u64(kind)), address, ONES)


def fetch(me: Attempts, address: u64) -> None:
    """Nothing there is an instruction."""
    me.call(address, 0, 0)
    expect("kind of exception of a fetch from", address, me.kind(), INSTRUCTION_ABORT)
    expect("status of a fetch from", address, me.syndrome & STATUS, EXTERNAL)
    expect("address of a fetch from", address, me.address, address)
