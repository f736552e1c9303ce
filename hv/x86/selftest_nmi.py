"""The self-test of NMIs: none that is sent is missed, and one that comes while another is being handled does no harm.

NMIs are held back until the handler's IRET (Intel SDM 3A, 6.7.1). A fault inside the handler ends in an IRET of its
own, so that the next NMI comes while the first handler still runs.
"""

from hv.arch import cpu_id, now, poll_interrupts, relax, stack_bottom
from hv.common.kernel.cpus import online
from hv.common.kernel.recovery import faults
from hv.common.kernel.selftest import Share, check, fail, on_all_cpus, selftests
from hv.common.kernel.time import SECOND, Ns
from hv.config import CONFIG_NR_CPUS
from hv.lang import Atomic, Final, PerCpu, array, ptr, trailing_zeros, u32, u64, unbounded
from hv.x86.cpu import read_msr_or
from hv.x86.exceptions import FaultFrame
from hv.x86.ipi import send_nmi
from hv.x86.nmi import nmis

ROUNDS: Final = 100
WORK: Final = 400
WORDS: Final = (CONFIG_NR_CPUS + 63) // 64
LONGEST: Final[u64] = 60 * SECOND  # that an NMI may take: emulated CPUs do not always run
DEEPEST: Final[u32] = 3  # NMIs inside each other
NO_SUCH_MSR: Final[u32] = 0x4567_8901
GLANCES: Final = 1000


class Senders(PerCpu):
    """Who has sent this CPU an NMI and has not been heard. Two NMIs may become one: so each sender has its bit."""

    bits: array[Atomic[u64], WORDS]
    heard: array[u64, CONFIG_NR_CPUS]  # how often each CPU was, written in the NMI handler


class Nest(PerCpu):
    depth: u32  # of handlers that run
    begun: u32  # handlers in all
    goal: u32  # the depth that is to be reached
    by_panic: bool  # by faults that would be panics, and not those that are made good
    escapes: bool  # the handler does not return: its fault ends in the code that it interrupted


@selftests.entry(name="nmi")
def storm_and_nest() -> None:
    """All CPUs send NMIs to themselves and all others while each computes: each sender is heard as often as it sent,
    and what is computed is right. Then NMIs inside NMIs, behind faults in the handler: each goes on where it was.
    """
    for cpu in online:
        for other in online:
            Senders.on(cpu).heard[other] = 0
    nmis.under_test = hear
    on_all_cpus(nmi_storm)
    for cpu in online:
        for other in online:
            heard = Senders.on(cpu).heard[other]
            check(heard == ROUNDS, f"CPU {cpu} heard CPU {other} {heard} times, not {ROUNDS}")
    on_all_cpus(nothing)  # whatever was on its way has come
    nmis.under_test = nest
    on_all_cpus(nesting)
    on_all_cpus(nothing)
    nmis.under_test = None


class Nothing(Share):
    def run(self, cpu: u32) -> None:
        poll_interrupts()


nothing: Final = Nothing()


class NmiStorm(Share):
    def run(self, cpu: u32) -> None:
        due = digest(u64(cpu))
        for _ in range(ROUNDS):
            for target in online:
                Senders.on(target).bits[cpu // 64].or_(u64(1) << cpu % 64)
                send_nmi(target)
                check(digest(u64(cpu)) == due, "an NMI changed what it interrupted")
                if not wait_until_heard(target, cpu):
                    return
            poll_interrupts()


nmi_storm: Final = NmiStorm()


def digest(start: u64) -> u64:
    """Work with several registers, whose result says whether all kept their values."""
    a = start
    b = start * 3 + 1
    c = start ^ 0x9E37_79B9_7F4A_7C15
    for i in range(WORK):
        a += b << 7
        b ^= c >> 9
        c = c * 0xD134_2543_DE82_EF95 + a + u64(i)
    return a ^ b ^ c


@unbounded("ends with the time that an NMI may take")
def wait_until_heard(target: u32, sender: u32) -> bool:
    deadline = now() + LONGEST
    while Senders.on(target).bits[sender // 64].load_acquire() >> sender % 64 & 1 != 0:
        if now() > deadline:
            fail(f"CPU {target} takes no NMI from CPU {sender}")
            return False
        relax()
    return True


def hear(frame: FaultFrame) -> None:
    senders = Senders.this()
    for i in range(WORDS):
        note(senders, u32(i) * 64, senders.bits[i].exchange(0))


@unbounded("each step clears a bit")
def note(senders: Senders, first: u32, bits: u64) -> None:
    left = bits
    while left != 0:
        senders.heard[first + trailing_zeros(left)] += 1
        left &= left - 1


class Nesting(Share):
    def run(self, cpu: u32) -> None:
        own = Nest.this()
        own.depth = 0
        due = digest(u64(cpu))
        for by_panic in range(2):
            for goal in range(DEEPEST):
                own.goal = u32(goal) + 1
                own.by_panic = by_panic == 1
                own.begun = 0
                send_nmi(cpu)
                wait_for(own.goal)
                check(digest(u64(cpu)) == due, "nested NMIs changed what they interrupted")
                check(own.begun == own.goal and own.depth == 0, f"{own.begun} nested NMIs of {own.goal}")
        own.escapes = True
        check(faults(leave_handler), "a fault in an NMI handler did not end it")
        own.escapes = False
        own.depth = 0
        own.begun = 0
        own.goal = 1
        send_nmi(cpu)
        check(wait_for(1), "no NMI comes behind a handler that did not return")


nesting: Final = Nesting()


def leave_handler() -> None:
    Nest.this().begun = 0
    send_nmi(cpu_id())
    wait_for(1)


@unbounded("ends with the time that an NMI may take")
def wait_for(begun: u32) -> bool:
    """Until so many handlers have begun on this CPU."""
    deadline = Ns(now() + LONGEST)
    while Nest.this().begun < begun:
        if now() > deadline:
            fail(f"an NMI does not come: {Nest.this().begun} of {begun} did")
            return False
        relax()
    return True


def nest(frame: FaultFrame) -> None:
    """Brings the next NMI into this one, until they are as deep as they are to be; its own frame stays as it was."""
    own = Nest.this()
    own.begun += 1
    own.depth += 1
    depth = own.depth
    pc = frame.rip
    sp = frame.rsp
    flags = frame.rflags
    sum = digest(frame.rbx ^ frame.rbp ^ frame.r12 ^ frame.r13 ^ frame.r14 ^ frame.r15)
    if own.escapes:
        touch_hole()
    if depth < own.goal:
        send_nmi(cpu_id())
        for _ in range(GLANCES):
            relax()
        check(own.begun == depth, "an NMI came into another's handler before any fault")
        unblock(own)
        wait_for(depth + 1)
    check(frame.rip == pc and frame.rsp == sp and frame.rflags == flags, "an NMI's frame was overwritten")
    check(sum == digest(frame.rbx ^ frame.rbp ^ frame.r12 ^ frame.r13 ^ frame.r14 ^ frame.r15), "registers were")
    own.depth -= 1


def unblock(own: Nest) -> None:
    """Takes a fault. QEMU's CPUs have every register, so there only what would be a panic is one."""
    if own.by_panic or read_msr_or(NO_SUCH_MSR, 7) != 7:
        check(faults(touch_hole), "a read below the stack came back")


def touch_hole() -> None:
    Senders.this().heard[0] = ptr[u64](stack_bottom() - 8)[0]
