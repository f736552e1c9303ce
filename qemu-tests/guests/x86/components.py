"""A guest that changes which components of its extended state are enabled (XCR0): what it may enable, what CPUID says
then, and that its two CPUs, which take turns, each keep their own registers, those of a disabled component too.
"""

from guests.x86.lib.cpu import allow_xsave, cpuid, read_xcr0
from guests.x86.lib.hypercall import POWER_OFF, SCHED_OP, end, hypercall
from guests.x86.lib.interrupts import fill_table, taken
from guests.x86.lib.secondary import start_other
from guests.x86.lib.text import line
from guests.x86.lib.user import allow_user, back_to_kernel, set_as_user
from hv.lang import Final, Message, array, asm, export, extern, ptr, u32, u64, unbounded

X87: Final[u64] = 1
SSE: Final[u64] = 2
AVX: Final[u64] = 4
ALL: Final[u64] = X87 | SSE | AVX
REFUSALS: Final = 6
REFUSED: Final[array[u64, REFUSALS]] = array(0, SSE, X87 | AVX, SSE | AVX, X87 | 1 << 5, X87 | 1 << 62)
KINDS: Final[array[u64, 3]] = array(X87, ALL, X87 | SSE)
BYTES: Final[array[u32, 3]] = array(576, 832, 576)  # of an XSAVE area for these
ENABLED: Final[u32] = 1 << 27  # CPUID.01H:ECX
UNDEFINED: Final[u64] = 6
PROTECTION: Final[u64] = 13
NONE: Final[u64] = 0xFF
YIELD: Final[u64] = 0
ROUNDS: Final = 60


class Trapped:
    vector: u64
    length: u64  # of the instruction that may trap


class Turn:
    cpu: u64


trapped: Final = Trapped()
turn: Final = Turn()


@export
def guest_main(information: u64) -> None:
    fill_table()
    taken.exception = step_over
    taken.survives = True
    check(enable(0, X87) == UNDEFINED, "XSETBV while CR4.OSXSAVE is off")
    begin()
    check(u64(cpuid(0xD, 0)[0]) & ALL == ALL, "no AVX is offered")
    for i in range(REFUSALS):
        check(enable(0, REFUSED[i]) == PROTECTION, "components that do not go together, or that there are not")
    check(enable(1, X87) == PROTECTION, "an XCR1")
    allow_user(0)
    check(enable_as_user(X87 | SSE) == PROTECTION, "without privilege")
    check(read_xcr0() == X87, "what was refused was done")
    line("refused")
    for i in range(3):
        check(enable(0, KINDS[i]) == NONE and read_xcr0() == KINDS[i], "components are not what they were set to")
        check(cpuid(0xD, 0)[1] == BYTES[i], "another size of the enabled components")
        check(use() == (NONE if KINDS[i] == ALL else UNDEFINED), "AVX does not follow XCR0")
    line("enabled")
    start_other()
    go_round(0, 0x1357_9BDF_0246_8ACE)
    await_turn(0)
    line("DONE components ok")
    end(POWER_OFF)


@export
@unbounded("until the domain ends")
def guest_secondary() -> None:
    fill_table()
    begin()
    await_turn(1)
    go_round(1, 0xFDB9_7531_ECA8_6420)
    while True:
        give_turn(0)


def begin() -> None:
    """As after power-on, whatever another CPU has enabled."""
    check(cpuid(1, 0)[2] & ENABLED == 0, "OSXSAVE before it is on")
    allow_xsave()
    check(cpuid(1, 0)[2] & ENABLED != 0, "no OSXSAVE when it is on")
    check(read_xcr0() == X87, "other components than x87 at power-on")


def go_round(cpu: u64, first: u64) -> None:
    """What is left behind with the turn is there when the turn comes back."""
    pattern = first
    for i in range(ROUNDS):
        check(enable(0, ALL) == NONE, "not all components")
        fill_wide(pattern)
        left = KINDS[(u64(i) // (cpu + 1)) % 3]
        check(enable(0, left) == NONE, "not these components")
        give_turn(1 - cpu)
        await_turn(cpu)
        check(read_xcr0() == left, "another CPU's components")
        check(enable(0, ALL) == NONE, "not all components again")
        wrong = check_wide(pattern)
        if wrong != 0:
            line(f"CPU {cpu} round {i}: registers {wrong:#x}, with {left:#x} enabled")
            check(False, "vector registers")
        pattern = pattern << 7 | pattern >> 57
    give_turn(1 - cpu)


def give_turn(cpu: u64) -> None:
    turn.cpu = cpu
    hypercall(SCHED_OP, YIELD, 0, 0)


@unbounded("the other CPU gives it")
def await_turn(cpu: u64) -> None:
    while turn.cpu != cpu:
        hypercall(SCHED_OP, YIELD, 0, 0)


def enable(register: u32, value: u64) -> u64:
    """XSETBV. The exception that it made, or NONE."""
    trapped.vector = NONE
    trapped.length = 3
    set_components(register, value)
    return trapped.vector


def enable_as_user(value: u64) -> u64:
    trapped.vector = NONE
    set_as_user(value)
    return trapped.vector


def use() -> u64:
    """The exception that AVX made, or NONE."""
    trapped.vector = NONE
    trapped.length = 4
    use_wide()
    return trapped.vector


def step_over(vector: u64, frame: u64) -> None:
    trapped.vector = vector
    if not back_to_kernel(frame):
        ptr[u64](frame)[0] += trapped.length


def check(right: bool, what: Message) -> None:
    if not right:
        line(what)
        line("DONE components fail")
        end(POWER_OFF)


@asm("movq %rax, %rdx\n\tshrq $32, %rdx\n\txsetbv", register="rcx", value="rax", changes="rdx")
def set_components(register: u32, value: u64) -> None: ...


@extern
def fill_wide(pattern: u64) -> None: ...


@extern
def check_wide(pattern: u64) -> u64: ...


@extern
def use_wide() -> None: ...
