"""Asking CPUs about themselves, one after the other, without waiting for them: for debug keys.

`answer_of` puts a function to a CPU, which runs it between two ways through the hypervisor, as a softirq. A CPU that is
stuck leaves the question open and is passed over; should it come back, it runs what was asked last.

Only one CPU asks: the one that handles the keys (hv/common/kernel/keys.py).
"""

from hv.arch import cpu_id, now, relax
from hv.common.kernel.console import console
from hv.common.kernel.cpus import online
from hv.common.kernel.keys import Output
from hv.common.kernel.softirq import Softirq, handlers, raise_on
from hv.common.kernel.time import MILLISECOND, Ns
from hv.common.kernel.work import Progress
from hv.config import CONFIG_NR_CPUS
from hv.lang import Atomic, Callable, Final, PerCpu, U8Enum, u32

PATIENCE: Final = 200 * MILLISECOND
SPINS: Final = 2000  # tries at once: most CPUs answer within them


class Answer(U8Enum):
    COMING = 0
    GIVEN = 1
    OVERDUE = 2  # the CPU seems to be stuck


class Asked(PerCpu):
    question: Atomic[u32]  # the number of the last; 0: none yet
    answered: Atomic[u32]  # the last that was answered


class Survey:
    function: Callable[[], None]
    number: u32
    since: Ns


survey: Final = Survey()


def answer_of(output: Output, cpu: u32, function: Callable[[], None]) -> Answer:
    """Asks an online CPU when `output.part` is 0, and looks whether it has answered. Call it again while the answer is
    COMING; behind it, `part` is 0 again.
    """
    if cpu == cpu_id():
        function()
        return Answer.GIVEN
    if output.part == 0:
        output.part = 1
        _ask(cpu, function)
        for _ in range(SPINS):
            if _has_answered(cpu):
                break
            relax()
    if not _has_answered(cpu) and now() - survey.since < PATIENCE:
        return Answer.COMING
    output.part = 0
    return Answer.GIVEN if _has_answered(cpu) else Answer.OVERDUE


def ask_each(output: Output, function: Callable[[], None]) -> Progress:
    """A step of asking every online CPU, from `output.row` on; says which does not answer. DONE: all have been asked,
    and `row` is CONFIG_NR_CPUS.
    """
    cpu = online.next_from(output.row)
    output.row = cpu
    if cpu == CONFIG_NR_CPUS:
        return Progress.DONE
    match answer_of(output, cpu, function):
        case Answer.COMING:
            return Progress.WAITING
        case Answer.OVERDUE:
            console.print(f"CPU {cpu} does not answer")
        case Answer.GIVEN:
            pass
    output.row = cpu + 1
    return Progress.MORE


def _ask(cpu: u32, function: Callable[[], None]) -> None:
    survey.number = 1 if survey.number + 1 == 0 else survey.number + 1
    survey.function = function
    survey.since = now()
    Asked.on(cpu).question.store_release(survey.number)
    raise_on(cpu, Softirq.SURVEY)


def _has_answered(cpu: u32) -> bool:
    return Asked.on(cpu).answered.load_acquire() == survey.number


@handlers.entry(softirq=Softirq.SURVEY)
def answer() -> None:
    asked = Asked.this()
    number = asked.question.load_acquire()
    survey.function()
    asked.answered.store_release(number)
