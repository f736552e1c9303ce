"""Ways to break what a CPU takes exceptions and interrupts by: its tables, its task's stacks, its stack, its memory map
(AMD APM 2, 8.9 and 12.3).
"""

from guests.x86.lib.cpu import load_gdt, load_idt, load_task, use_map
from guests.x86.lib.exceptions import FIRST_TASK, STACK, TASK_BYTES, describe_task, segments, tasks
from guests.x86.lib.interrupts import APIC_PAGE, VECTORS, Pointer, fill_table, set_pointer, table
from hv.lang import Final, U8Enum, address_of, aligned, array, truncate, u16, u32, u64

UNMAPPED: Final[u64] = 0x2000_0000  # by this program's page tables
NOWHERE: Final[u64] = 0x3000_0000  # mapped, and no memory
NO_ADDRESS: Final[u64] = 0x8000_0000_0000_0000
LOWEST_STACK: Final[u64] = 0x1000  # below it there is not much until address 0
PRESENT: Final[u64] = 1 << 47  # of a gate
TYPE: Final[u64] = 0x1F << 40
CALL_GATE: Final[u64] = 0xC << 40
TASK_GATE: Final[u64] = 0x5 << 40
SELECTOR: Final[u64] = 0xFFFF << 16
OFFSET: Final[u64] = 0xFFFF_0000_0000_FFFF  # as much of it as is in a gate's first word
STACK_INDEX: Final[u64] = 7 << 32
SECOND_STACK: Final[u64] = 2 << 32  # the task's
THIRD_STACK: Final[u64] = 3 << 32
ONE_BYTE_SHORT: Final[u16] = 14  # the limit of a table with not quite one gate
TABLE_LIMIT: Final[u16] = VECTORS * 16 - 1
SEGMENT_LIMIT: Final[u16] = 8 * (FIRST_TASK + 2) - 1
BEYOND: Final[u64] = 0x100 << 16  # selectors in a gate
DATA: Final[u64] = 16 << 16
TASK_SELECTOR: Final[u16] = 8 * FIRST_TASK


class Way(U8Enum):
    NO_TABLE = 0
    SHORT_TABLE = 1
    TABLE_UNMAPPED = 2
    TABLE_NOWHERE = 3
    TABLE_IN_REGISTERS = 4
    EMPTY_GATES = 5
    GATES_NOT_PRESENT = 6
    CALL_GATES = 7
    TASK_GATES = 8
    GATES_TO_NO_ADDRESS = 9
    GATES_TO_UNMAPPED = 10
    NULL_SELECTORS = 11
    DATA_SELECTORS = 12
    SELECTORS_BEYOND = 13
    SEGMENTS_UNMAPPED = 14
    SEGMENTS_NOWHERE = 15
    SEGMENTS_IN_REGISTERS = 16
    NO_SEGMENTS = 17
    STACKS_UNMAPPED = 18
    STACKS_AT_NO_ADDRESS = 19
    STACKS_NOWHERE = 20
    STACKS_IN_REGISTERS = 21
    NO_TASK = 22
    TASK_UNMAPPED = 23
    TASK_NOWHERE = 24
    TASK_IN_REGISTERS = 25
    STACK_UNMAPPED = 26
    STACK_AT_NO_ADDRESS = 27
    STACK_NOWHERE = 28
    STACK_IN_REGISTERS = 29
    NO_MAP = 30
    MAP_NOWHERE = 31
    MAP_IN_REGISTERS = 32


WAYS: Final[u64] = 33


@aligned(4096)
class Map:
    """A page table that maps nothing."""

    words: array[u64, 512]


empty: Final = Map()


def spoil(way: Way) -> u64:
    """On this CPU, which does not take an exception behind it. Returns the stack pointer that belongs to it."""
    fill_table()
    match way:
        case Way.NO_TABLE:
            place_table(address_of(table), 0)
        case Way.SHORT_TABLE:
            place_table(address_of(table), ONE_BYTE_SHORT)
        case Way.TABLE_UNMAPPED:
            place_table(UNMAPPED, TABLE_LIMIT)
        case Way.TABLE_NOWHERE:
            place_table(NOWHERE, TABLE_LIMIT)
        case Way.TABLE_IN_REGISTERS:
            place_table(APIC_PAGE, TABLE_LIMIT)
        case Way.EMPTY_GATES:
            change_gates(~u64(0), 0)
        case Way.GATES_NOT_PRESENT:
            change_gates(PRESENT, 0)
        case Way.CALL_GATES:
            change_gates(TYPE, CALL_GATE)
        case Way.TASK_GATES:
            change_gates(TYPE, TASK_GATE)
        case Way.GATES_TO_NO_ADDRESS:
            for vector in range(VECTORS):
                table.words[vector * 2 + 1] = NO_ADDRESS >> 32
        case Way.GATES_TO_UNMAPPED:
            change_gates(OFFSET, UNMAPPED >> 16 << 48)
        case Way.NULL_SELECTORS:
            change_gates(SELECTOR, 0)
        case Way.DATA_SELECTORS:
            change_gates(SELECTOR, DATA)
        case Way.SELECTORS_BEYOND:
            change_gates(SELECTOR, BEYOND)
        case Way.SEGMENTS_UNMAPPED:
            place_segments(UNMAPPED, SEGMENT_LIMIT)
        case Way.SEGMENTS_NOWHERE:
            place_segments(NOWHERE, SEGMENT_LIMIT)
        case Way.SEGMENTS_IN_REGISTERS:
            place_segments(APIC_PAGE, SEGMENT_LIMIT)
        case Way.NO_SEGMENTS:
            place_segments(address_of(segments), 0)
        case Way.STACKS_UNMAPPED:
            use_second_stack(UNMAPPED)
        case Way.STACKS_AT_NO_ADDRESS:
            use_second_stack(NO_ADDRESS)
        case Way.STACKS_NOWHERE:
            use_second_stack(NOWHERE + 4096)
        case Way.STACKS_IN_REGISTERS:
            use_second_stack(APIC_PAGE + 4096)
        case Way.NO_TASK:
            use_task(address_of(tasks[0]), 1)
        case Way.TASK_UNMAPPED:
            use_task(UNMAPPED, TASK_BYTES)
        case Way.TASK_NOWHERE:
            use_task(NOWHERE, TASK_BYTES)
        case Way.TASK_IN_REGISTERS:
            use_task(APIC_PAGE, TASK_BYTES)
        case Way.STACK_UNMAPPED:
            return UNMAPPED
        case Way.STACK_AT_NO_ADDRESS:
            return NO_ADDRESS
        case Way.STACK_NOWHERE:
            return NOWHERE + 4096
        case Way.STACK_IN_REGISTERS:
            return APIC_PAGE + 4096
        case Way.NO_MAP:
            use_map(address_of(empty))
        case Way.MAP_NOWHERE:
            use_map(NOWHERE)
        case Way.MAP_IN_REGISTERS:
            use_map(APIC_PAGE)
    return LOWEST_STACK


def place_table(place: u64, limit: u16) -> None:
    pointer = Pointer()
    set_pointer(pointer, place, limit)
    load_idt(address_of(pointer))


def place_segments(place: u64, limit: u16) -> None:
    pointer = Pointer()
    set_pointer(pointer, place, limit)
    load_gdt(address_of(pointer))


def change_gates(mask: u64, bits: u64) -> None:
    """In the first word of each."""
    for vector in range(VECTORS):
        table.words[vector * 2] = table.words[vector * 2] & ~mask | bits


def set_stack(number: u32, top: u64) -> None:
    """One of the task's, which are counted from 1."""
    at = STACK + 2 * (number - 1)
    tasks[0].words[at] = truncate(u32, top)
    tasks[0].words[at + 1] = u32(top >> 32)


def use_second_stack(top: u64) -> None:
    set_stack(2, top)
    change_gates(STACK_INDEX, SECOND_STACK)


def use_task(place: u64, bytes: u64) -> None:
    describe_task(0, place, bytes)
    load_task(TASK_SELECTOR)
    change_gates(STACK_INDEX, SECOND_STACK)


def spoil_gate(vector: u64, how: u64) -> None:
    """One gate, of a table that is whole otherwise: another exception comes instead."""
    good = table.words[vector * 2]
    match how:
        case 0:
            table.words[vector * 2] = 0
        case 1:
            table.words[vector * 2] = good & ~PRESENT
        case 2:
            table.words[vector * 2] = good & ~TYPE | CALL_GATE
        case 3:
            table.words[vector * 2] = good & ~SELECTOR
        case 4:
            table.words[vector * 2] = good & ~SELECTOR | DATA
        case 5:
            table.words[vector * 2] = good & ~SELECTOR | BEYOND
        case 6:
            table.words[vector * 2] = good & ~STACK_INDEX | SECOND_STACK
        case _:
            table.words[vector * 2] = good & ~STACK_INDEX | THIRD_STACK


GATE_WAYS: Final[u64] = 8
