"""Whether the CPUs' timestamp counters agree, checked when a CPU starts, and what is done when they do not.

The boot CPU asks the new one for its count, many times: the answer must lie between its own counts before and behind.
When it does not, firmware has set one of them: `Tsc.behind` makes up for the difference, as the tightest question found
it. Before that, IA32_TSC_ADJUST, where there is one, is given the boot CPU's value.

One CPU is checked at a time. It waits for the boot CPU, which waits for CPUs to come online and answers meanwhile.
"""

from hv.common.kernel.log import warning
from hv.lang import Atomic, Final, u32, u64, unbounded
from hv.x86.cpu import ThisCpu, read_msr, relax, timestamp, write_msr
from hv.x86.cpuid import features
from hv.x86.timer import Tsc

TSC_ADJUST: Final[u32] = 0x3B
ROUNDS: Final = 16
PATIENCE: Final[u64] = 1 << 31  # ticks that the boot CPU waits for an answer


class Meeting:
    who: Atomic[u32]  # the CPU that is checked; 0: none
    round: u32  # the boot CPU's count of its questions; none has the number 0
    asked: Atomic[u32]  # the question
    answered: Atomic[u32]
    count: u64  # of the new CPU, in the round that is answered
    behind: u64
    done: Atomic[u32]  # the CPU that was checked last
    adjust: u64  # the boot CPU's IA32_TSC_ADJUST


meeting: Final = Meeting()


def prepare() -> None:
    """On the boot CPU, before another starts."""
    if features.tsc_adjust:
        meeting.adjust = read_msr(TSC_ADJUST)


@unbounded("the boot CPU answers, and checks one CPU after the other")
def check_this_cpu() -> None:
    """On a CPU that starts."""
    if features.tsc_adjust and read_msr(TSC_ADJUST) != meeting.adjust:
        write_msr(TSC_ADJUST, meeting.adjust)
    me = ThisCpu.this().id
    while not meeting.who.compare_exchange(0, me):
        relax()
    while meeting.done.load_acquire() != me:
        question = meeting.asked.load_acquire()
        if question != meeting.answered.load_relaxed():
            meeting.count = timestamp()
            meeting.answered.store_release(question)
        relax()
    Tsc.this().behind = meeting.behind
    meeting.who.store(0)


def check_who_waits() -> bool:
    """On the boot CPU, again and again while others start. True: one has been checked."""
    who = meeting.who.load_acquire()
    if who == 0 or who == meeting.done.load_relaxed():
        return False
    meeting.behind = 0
    least: u64 = 0xFFFF_FFFF_FFFF_FFFF
    agrees = True
    for _ in range(ROUNDS):
        meeting.round += 1
        before = timestamp()
        meeting.asked.store_release(meeting.round)
        if not _answered(meeting.round, before):
            return False
        after = timestamp()
        count = meeting.count
        if count - before > after - before:
            agrees = False
        if after - before < least:
            least = after - before
            meeting.behind = before + (after - before) // 2 - count
    if agrees:
        meeting.behind = 0
    else:
        warning(f"CPU {who}: its TSC does not agree with CPU 0's: {meeting.behind:#x} ticks are added")
    meeting.done.store_release(who)
    return True


@unbounded("gives up after some time")
def _answered(round: u32, since: u64) -> bool:
    while meeting.answered.load_acquire() != round:
        if timestamp() - since > PATIENCE:
            return False
        relax()
    return True
