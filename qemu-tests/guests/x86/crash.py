"""A unikernel whose CPU ends in a triple fault, or in what the hypervisor does not let pass: for tests in which its
description has it built again, and other guests must not notice.

It breaks single gates first, and takes the exception that comes instead. When it has run for more than a second, with
less of which a domain is not built again, it breaks what all exceptions are taken by, in a way that depends on
the second in which that is, and does what raises one or lets an interrupt in. Its other CPU interrupts the first now
and then.

Words of the command line: seed=N; first=N, how many ways it is ahead.
"""

from guests.lib.random import Random
from guests.x86.attacks import attempt, came_back_at, ended, map_little, recover_controller, resume
from guests.x86.breakages import GATE_WAYS, NO_ADDRESS, NOWHERE, UNMAPPED, WAYS, Way, set_stack, spoil, spoil_gate
from guests.x86.lib.arguments import argument
from guests.x86.lib.cpu import flush, timestamp, wait_for_interrupt, write32
from guests.x86.lib.events import PAGE, TIME, Channel, frequency, take_events
from guests.x86.lib.exceptions import allow_no_execute, take_on_own_stack, use_own_stack
from guests.x86.lib.hypercall import POWER_OFF, SCHED_OP, end, hypercall
from guests.x86.lib.interrupts import (
    APIC_PAGE,
    DIVIDE,
    EOI,
    ICR,
    INITIAL_COUNT,
    LVT_TIMER,
    at,
    fill_table,
    table,
    taken,
    upcall,
)
from guests.x86.lib.secondary import ICR_HIGH, start_other
from guests.x86.lib.text import line
from hv.lang import (
    Embedded,
    Final,
    Message,
    U8Enum,
    address_of,
    aligned,
    array,
    export,
    extern,
    ptr,
    symbol,
    u8,
    u32,
    u64,
    unbounded,
)

MEMORY: Final[u64] = 16 << 20
BLOCK: Final[u64] = 0x83
BLOCK_BYTES: Final[u64] = 0x20_0000
SYSTEM_TIME: Final[u64] = 16  # in a vcpu_time_info
SECOND: Final[u64] = 1_000_000_000
ACTS: Final = 1000
BREAKPOINT: Final[u64] = 3
EVENT: Final[u64] = 0x50  # vectors
BY_ITSELF: Final[u64] = 0x61
BY_TIMER: Final[u64] = 0x62
BY_OTHER: Final[u64] = 0x63
BY_ONE: Final[u32] = 0xB  # the divider's code
SHORTLY: Final[u32] = 10_000  # ticks of the local APIC's timer, 10 ns each
LONG: Final[u32] = 1_000_000
POLL: Final[u64] = 3
BETWEEN_INTERRUPTS: Final[u64] = 5_000_000  # ns
FOR_EVER: Final[u64] = 0xFEEB  # jmp to itself


class Trigger(U8Enum):
    UNDEFINED = 0
    BREAKPOINT = 1
    SOFTWARE_INTERRUPT = 2
    DIVISION = 3
    UNMAPPED = 4
    NO_ADDRESS = 5
    STACK = 6
    MODEL_SPECIFIC = 7
    FOREIGN = 8
    STEP = 9
    ICEBP = 10
    FAR_JUMP = 11
    BAD_RETURN = 12
    UNPLAYED = 13
    INTERRUPT = 14
    EVENT = 15
    TIMER = 16


TRIGGERS: Final[u64] = 17
CODE: Final[array[u64, TRIGGERS]] = array(
    0x0B0F,  # ud2
    0xCC,  # int3
    0x80CD,  # int 0x80
    0xF1F7_C931,  # xor ecx, ecx; div ecx
    0x078B,  # mov eax, [rdi]
    0x078B,
    0x08_458B,  # mov eax, [rbp + 8]
    0x32_0F00_0012_34B9,  # mov ecx, 0x1234; rdmsr
    0xDA_010F,  # vmload
    0x9D00_0001_0268,  # push 0x102; popfq
    0xF1,  # icebp
    0x2F_FF48,  # jmp far [rdi]
    0xCF48,  # iretq
    0x07_2B0F,  # movntps [rdi], xmm0
    0x9090FB,  # sti; nop; nop
    0x9090FB,
    0x9090FB,
)
VECTOR: Final[array[u64, TRIGGERS]] = array(
    6, 3, 0x80, 0, 14, 13, 12, 13, 6, 1, 1, 13, 13, 6, BY_ITSELF, EVENT, BY_TIMER
)


@aligned(4096)
class Code:
    words: array[u64, 512]


class Poll:
    """sched_poll_t, of no ports."""

    ports: u64
    count: u32
    until: u64


class State:
    random: Embedded[Random]
    channel: Embedded[Channel]
    trying: bool
    exceptions: u64


code: Final = Code()
nothing: Final = Code()
state: Final = State()
rest: Final = Poll()


@export
@unbounded("until it is time")
def guest_main(information: u64) -> None:
    began = timestamp()
    allow_no_execute()
    map_little(MEMORY)
    map_block(PAGE)
    map_block(NOWHERE)
    flush()
    fill_table()
    take_on_own_stack()
    use_own_stack(0)
    set_stack(2, UNMAPPED)
    set_stack(3, NO_ADDRESS)
    taken.survives = True
    taken.exception = survive
    recover_controller()
    if not take_events(EVENT) or not state.channel.init():
        fail("it cannot have events")
    state.random.init(argument(information, "seed", 1) + now())
    start_other()
    for _ in range(ACTS):
        take_another()
    sleep_until(began + frequency() + frequency() // 16)
    break_down(Way(u8((now() // SECOND + argument(information, "first", 0)) % WAYS)))


def now() -> u64:
    """The hypervisor's time when the first CPU began to run last, in ns."""
    return ptr[u64](PAGE + TIME + SYSTEM_TIME)[0]


def map_block(address: u64) -> None:
    """What `map_little` took away."""
    ptr[u64](symbol("blocks") + (address // BLOCK_BYTES) * 8)[0] = address & ~(BLOCK_BYTES - 1) | BLOCK


def address_for(trigger: Trigger) -> u64:
    match trigger:
        case Trigger.NO_ADDRESS | Trigger.STACK:
            return NO_ADDRESS
        case Trigger.FAR_JUMP:
            return address_of(nothing)
        case Trigger.UNPLAYED:
            return APIC_PAGE + 0x20
        case _:
            return UNMAPPED


def take_another() -> None:
    """Raises something whose gate is broken."""
    trigger = Trigger(u8(state.random.below(TRIGGERS)))
    vector = VECTOR[u8(trigger)]
    good = table.words[vector * 2]
    spoil_gate(vector, state.random.below(GATE_WAYS))
    arm(trigger)
    code.words[0] = ended(CODE[u8(trigger)])
    state.trying = True
    attempt(address_of(code), address_for(trigger), state.random.word(), 0)
    state.trying = False
    table.words[vector * 2] = good
    disarm()


def arm(trigger: Trigger) -> None:
    """The interrupts: what waits is taken as soon as they are on."""
    match trigger:
        case Trigger.INTERRUPT:
            write32(at(ICR_HIGH), 0)
            write32(at(ICR), u32(BY_ITSELF))
        case Trigger.EVENT:
            state.channel.raise_event()
        case Trigger.TIMER:
            set_timer(SHORTLY)
        case _:
            pass


def set_timer(count: u32) -> None:
    write32(at(DIVIDE), BY_ONE)
    write32(at(LVT_TIMER), u32(BY_TIMER))
    write32(at(INITIAL_COUNT), count)


def disarm() -> None:
    """What was accepted and had no handler."""
    for _ in range(4):
        write32(at(EOI), 0)
    write32(at(INITIAL_COUNT), 0)
    state.channel.clear()
    ptr[u8](upcall.flag)[0] = 0


@unbounded("until that time")
def sleep_until(end: u64) -> None:
    while timestamp() < end:
        set_timer(LONG)
        wait_for_interrupt()
    disarm()


def break_down(way: Way) -> None:
    trigger = Trigger(u8(state.random.below(TRIGGERS)))
    line(f"breaks {way.name}, {trigger.name} after {state.exceptions} exceptions")
    instruction = CODE[u8(trigger)]
    bits: u32 = 0
    for _ in range(8):
        if instruction >> bits != 0:
            bits += 8
    code.words[0] = instruction | FOR_EVER << bits
    code.words[1] = FOR_EVER >> 64 - bits
    arm(trigger)
    stack = spoil(way)
    doom(address_of(code), address_for(trigger), stack)


def survive(vector: u64, frame: u64) -> None:
    if not state.trying:
        fail(f"exception {vector} at {ptr[u64](frame)[0]:#x}")
    if vector != BREAKPOINT or ptr[u64](frame)[0] != came_back_at():
        state.exceptions += 1
    resume(0)


def fail(why: Message) -> None:
    line(why)
    line("DONE crash fail")
    end(POWER_OFF)


@export
@unbounded("until the domain ends")
def guest_secondary() -> None:
    allow_no_execute()
    rest.until = now()
    while True:
        write32(at(ICR_HIGH), 0)
        write32(at(ICR), u32(BY_OTHER))
        rest.until += BETWEEN_INTERRUPTS
        hypercall(SCHED_OP, POLL, address_of(rest), 0)


@extern
def doom(code: u64, address: u64, stack: u64) -> None: ...
