"""Descriptor tables: each CPU's segments and task state, and the interrupt table that all share.

In 64-bit mode segments say little: the code segment the mode, the task state where the stacks are of NMI, machine check
and double fault (Intel SDM 3A, 3.4.5, 6.14, 7.7). The first four entries are those of boot/x86/entry.S, so no segment
register changes when a CPU takes its own table.

A vector with a stack of its own begins at the top of it each time, over whatever it left there the time before. That of
double fault and of machine check nobody needs any more: they do not go back. An NMI may come into the handler of
another, behind the IRET of a fault that the handler took: boot/x86/vectors.S moves each NMI's frame from the top of the
stack to below what is in use of it, before anything can fault.

The interrupt table is filled before the final address space shows it read-only.
"""

from hv.lang import Final, PerCpu, address_of, aligned, array, symbol, truncate, u16, u32, u64
from hv.x86.cpu import load_gdt, load_idt, load_task
from hv.x86.layout import StackKind, stack_top

CODE64: Final[u16] = 0x08
TASK: Final[u16] = 0x20

SEGMENTS: Final = 6
CODE64_SEGMENT: Final[u64] = 0x00AF_9B00_0000_FFFF
DATA32_SEGMENT: Final[u64] = 0x00CF_9300_0000_FFFF
CODE32_SEGMENT: Final[u64] = 0x00CF_9B00_0000_FFFF
TASK_STATE: Final[u64] = 0x89  # present, 64-bit TSS, available

TASK_WORDS: Final = 26
TASK_BYTES: Final[u64] = 104
FIRST_IST: Final[u32] = 9  # word of the TSS

VECTORS: Final = 256
GATE_WORDS: Final = 512
STUB_BYTES: Final[u64] = 16
INTERRUPT_GATE: Final[u64] = 0x8E  # present, for the hypervisor only, interrupts masked

NMI: Final[u32] = 2
DOUBLE_FAULT: Final[u32] = 8
MACHINE_CHECK: Final[u32] = 18


class Pointer:
    """What LGDT and LIDT read: ten bytes without alignment."""

    parts: array[u16, 5]

    def set(self, address: u64, length: u64) -> None:
        self.parts[0] = u16(length - 1)
        for i in range(4):
            self.parts[i + 1] = truncate(u16, address >> i * 16)


class Segments(PerCpu):
    entries: array[u64, SEGMENTS]
    task: array[u32, TASK_WORDS]  # the TSS, whose 64-bit fields are not aligned


@aligned(4096)
class InterruptTable:
    words: array[u64, GATE_WORDS]

    def fill(self) -> None:
        stubs = symbol("vectors")
        for vector in range(VECTORS):
            stub = stubs + u64(vector) * STUB_BYTES
            low = stub & 0xFFFF | u64(CODE64) << 16 | (stub >> 16 & 0xFFFF) << 48
            self.words[vector * 2] = low | INTERRUPT_GATE << 40 | u64(interrupt_stack(u32(vector))) << 32
            self.words[vector * 2 + 1] = stub >> 32


idt: Final = InterruptTable()


def interrupt_stack(vector: u32) -> u32:
    """Which entry of the interrupt stack table a vector uses; 0: none."""
    match vector:
        case 8:
            return 1
        case 2:
            return 2
        case 18:
            return 3
        case _:
            return 0


def load_descriptors(cpu: u32) -> None:
    """This CPU's tables, of which it has the number."""
    own = Segments.this()
    for i in range(3):
        top = stack_top(cpu, StackKind(i))
        own.task[FIRST_IST + u32(i) * 2] = truncate(u32, top)
        own.task[FIRST_IST + u32(i) * 2 + 1] = truncate(u32, top >> 32)
    own.task[25] = u32(TASK_BYTES) << 16  # no map of ports
    state = address_of(own.task)
    own.entries[1] = CODE64_SEGMENT
    own.entries[2] = DATA32_SEGMENT
    own.entries[3] = CODE32_SEGMENT
    own.entries[4] = TASK_BYTES - 1 | (state & 0xFF_FFFF) << 16 | TASK_STATE << 40 | (state >> 24 & 0xFF) << 56
    own.entries[5] = state >> 32
    pointer = Pointer()
    pointer.set(address_of(own.entries), SEGMENTS * 8)
    load_gdt(address_of(pointer))
    load_task(TASK)
    pointer.set(address_of(idt), GATE_WORDS * 8)
    load_idt(address_of(pointer))
