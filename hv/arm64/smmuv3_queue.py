"""The two queues of an SMMUv3 (Arm IHI 0070, 3.5): commands to it, and events from it. Each is a ring in one frame.

Whoever gives commands ends with `complete`, which waits for the SMMU: so the queue of commands is empty between two of
them, and there is always room. The unit's lock protects it. The queue of events belongs to who reads it.
"""

from hv.arch import (
    clean_to_memory,
    direct_address,
    now,
    read_device32,
    relax,
    store_entry,
    write_device32,
)
from hv.arm64.cpu import complete_all
from hv.arm64.maintenance import read_anew
from hv.arm64.smmuv3_layout import (
    CMDQ_BASE,
    CMDQ_CONS,
    CMDQ_PROD,
    COMMAND_BYTES,
    EVENT_BYTES,
    EVENTQ_BASE,
    EVENTQ_CONS,
    EVENTQ_PROD,
    GERROR,
    GERRORN,
    SYNC,
    EventAccess,
    EventHead,
    Gerror,
    QueuePointer,
    StreamCommand,
)
from hv.common.kernel.time import MILLISECOND, Ns
from hv.common.mm.heap import heap
from hv.common.mm.pagetable import load
from hv.common.mm.types import paddr_of
from hv.lang import Final, raises, truncate, u32, u64, unbounded, value

MOST_COMMAND_BITS: Final[u32] = 8  # of a frame
MOST_EVENT_BITS: Final[u32] = 7
LEAST_BITS: Final[u32] = 4
PATIENCE: Final = 500 * MILLISECOND  # for commands, and for registers that are acknowledged


def write_wide(register: u64, value: u64) -> None:
    """A register of 64 bits, in two pieces."""
    write_device32(register, truncate(u32, value))
    write_device32(register + 4, truncate(u32, value >> 32))


class CommandQueue:
    registers: u64
    ring: u64
    bits: u32
    snoops: bool
    next: u32  # the number of the entry that comes next, with the bit of the wrap

    @raises
    def init(self, registers: u64, bits: u32, snoops: bool) -> None:
        """ENOMEM."""
        frame = heap.allocate_zeroed(0)
        self.registers = registers
        self.ring = direct_address(paddr_of(frame))
        self.bits = min(bits, MOST_COMMAND_BITS)
        self.snoops = snoops
        self.next = 0
        write_wide(registers + CMDQ_BASE, paddr_of(frame) | u64(self.bits))
        write_device32(registers + CMDQ_PROD, 0)
        write_device32(registers + CMDQ_CONS, 0)

    def put(self, first: u64, second: u64) -> None:
        """Fewer than 2**LEAST_BITS before `complete`."""
        at = self.ring + u64(self.next & (u32(1) << self.bits) - 1) * COMMAND_BYTES
        store_entry(at, first)
        store_entry(at + 8, second)
        if not self.snoops:
            clean_to_memory(at, COMMAND_BYTES)
        self.next = self.next + 1 & (u32(2) << self.bits) - 1

    @unbounded("ends with the commands, or after a while")
    def complete(self) -> str:
        """Lets the SMMU do the commands, and waits. What went wrong, in words; empty: nothing."""
        self.put(StreamCommand(opcode=SYNC).raw, 0)
        complete_all()
        write_device32(self.registers + CMDQ_PROD, self.next)
        deadline = Ns(now() + PATIENCE)
        while True:
            consumed = QueuePointer(read_device32(self.registers + CMDQ_CONS))
            if consumed.index == self.next:
                return ""
            failed = read_device32(self.registers + GERROR) ^ read_device32(self.registers + GERRORN)
            if Gerror(failed).command:
                return "it refuses a command"
            if now() >= deadline:
                return "it does no commands"
            relax()


@value
class Event:
    kind: u32
    stream: u32
    access: EventAccess
    address: u64


class EventQueue:
    registers: u64
    ring: u64
    bits: u32
    snoops: bool
    next: QueuePointer  # as CONS has it

    @raises
    def init(self, registers: u64, bits: u32, snoops: bool) -> None:
        """ENOMEM."""
        frame = heap.allocate_zeroed(0)
        self.registers = registers
        self.ring = direct_address(paddr_of(frame))
        self.bits = min(bits, MOST_EVENT_BITS)
        self.snoops = snoops
        self.next = QueuePointer(0)
        clean_to_memory(self.ring, EVENT_BYTES << self.bits)
        write_wide(registers + EVENTQ_BASE, paddr_of(frame) | u64(self.bits))
        write_device32(registers + EVENTQ_PROD, 0)
        write_device32(registers + EVENTQ_CONS, 0)

    @property
    def is_empty(self) -> bool:
        return QueuePointer(read_device32(self.registers + EVENTQ_PROD)).index == self.next.index

    def first(self) -> Event:
        """Of a queue that is not empty. `pass_first` comes next."""
        complete_all()  # what the SMMU wrote before it moved PROD
        at = self.ring + u64(self.next.index & (u32(1) << self.bits) - 1) * EVENT_BYTES
        if not self.snoops:
            read_anew(at, EVENT_BYTES)
        head = EventHead(load(at))
        return Event(u32(head.kind), u32(head.stream), EventAccess(load(at + 8)), load(at + 16))

    def pass_first(self) -> None:
        """There is room for another event."""
        complete_all()  # it is read before the SMMU may write over it
        self.next.index = self.next.index + 1 & (u32(2) << self.bits) - 1
        write_device32(self.registers + EVENTQ_CONS, self.next.raw)

    def lost_some(self) -> bool:
        """Whether events found no room since this was asked last."""
        if QueuePointer(read_device32(self.registers + EVENTQ_PROD)).overflow == self.next.overflow:
            return False
        self.next.overflow = not self.next.overflow
        write_device32(self.registers + EVENTQ_CONS, self.next.raw)
        return True
