"""Exceptions that a unikernel survives: each CPU takes them on a stack of its own, whatever rsp is then (Intel SDM 3A,
6.14.5 and 7.2.3).
"""

from guests.x86.lib.cpu import load_gdt, load_task, read_msr, write_msr
from guests.x86.lib.interrupts import VECTORS, Pointer, set_pointer, table
from hv.lang import Final, address_of, aligned, array, symbol, truncate, u16, u32, u64

CPUS: Final = 2
EFER: Final[u32] = 0xC000_0080
NO_EXECUTE: Final[u64] = 1 << 11
STACK_BYTES: Final[u64] = 0x8000  # layout.h
CODE: Final[u64] = 0x00AF_9B00_0000_FFFF
DATA: Final[u64] = 0x00CF_9300_0000_FFFF
TASK: Final[u64] = 0x89 << 40
TASK_BYTES: Final[u64] = 104
FIRST_TASK: Final = 3  # in the table of segments
USER: Final = FIRST_TASK + 2 * CPUS
SEGMENTS: Final = USER + 2
LEAST: Final[u64] = 3 << 45  # privilege, of a segment
OWN_STACK: Final[u64] = 1 << 32  # of a gate: the task's first stack
STACK: Final = 9  # where the task names it


@aligned(16)
class Task:
    words: array[u32, 28]


class Segments:
    words: array[u64, SEGMENTS]


tasks: Final[array[Task, CPUS]] = array()
segments: Final = Segments()


def allow_no_execute() -> None:
    """On this CPU: entries of its page tables may forbid execution."""
    write_msr(EFER, read_msr(EFER) | NO_EXECUTE)


def take_on_own_stack() -> None:
    """All vectors, behind `fill_table`."""
    for vector in range(VECTORS):
        table.words[vector * 2] |= OWN_STACK


def use_own_stack(cpu: u64) -> None:
    """On this CPU, which has this number."""
    segments.words[1] = CODE
    segments.words[2] = DATA
    segments.words[USER] = CODE | LEAST
    segments.words[USER + 1] = DATA | LEAST
    top = symbol("trap_stacks") + (cpu + 1) * STACK_BYTES
    task = tasks[cpu]
    task.words[STACK] = u32(top)
    describe_task(cpu, address_of(task), TASK_BYTES)
    pointer = Pointer()
    set_pointer(pointer, address_of(segments), 8 * SEGMENTS - 1)
    load_gdt(address_of(pointer))
    load_task(truncate(u16, (FIRST_TASK + 2 * cpu) * 8))


def describe_task(cpu: u64, place: u64, bytes: u64) -> None:
    """As available, which a task is not any more once it has been loaded."""
    entry = FIRST_TASK + 2 * cpu
    segments.words[entry] = (bytes - 1) | (place & 0xFF_FFFF) << 16 | TASK | (place >> 24 & 0xFF) << 56
    segments.words[entry + 1] = place >> 32


def cpu_of(frame: u64) -> u64:
    """Whose stack this is an address in."""
    return (frame - symbol("trap_stacks")) // STACK_BYTES
