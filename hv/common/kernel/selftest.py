"""Self-tests: what the machine can only show where it runs. `selftest=` on the command line names them, or `all`.

They run when all CPUs are up, one after another on the boot CPU, and nothing else does. A test says what it found by
`check`, `fail` and `skip`, on any CPU; it may have every CPU do a share of it at once by `on_all_cpus`. The last line
is `DONE selftest ok`, or `DONE selftest fail NAME: REASON` of the first that failed, and the machine is powered off.
"""

from hv.arch import cpu_id, now, poll_interrupts, power_off, relax
from hv.common.kernel.console import console
from hv.common.kernel.cpus import online
from hv.common.kernel.crosscall import call_on
from hv.common.kernel.options import options
from hv.common.kernel.recovery import set_under_test
from hv.common.kernel.softirq import run_softirqs
from hv.common.kernel.time import SECOND
from hv.common.kernel.work import Progress, Task, Work
from hv.common.lib.parse import Fields
from hv.common.lib.text import TextBuffer
from hv.lang import Atomic, Callable, Embedded, Final, Message, PerCpu, Protocol, Registry, u32, u64, unbounded, value

REASON: Final = 200  # bytes
LONGEST: Final[u64] = 120 * SECOND  # that a share may take: emulators are slow, and share their machine

asked: str = ""


@value
class SelfTest:
    name: str
    run: Callable[[], None]


selftests: Final = Registry[SelfTest]()


class Verdict:
    """What is known of the test that runs, and of the first that failed."""

    failed: Atomic[u32]
    skipped: bool
    reason: TextBuffer[REASON]
    first: str
    first_reason: TextBuffer[REASON]
    any_failed: bool


verdict: Final = Verdict()


def fail(message: Message) -> None:
    """The first reason of a test counts."""
    if verdict.failed.exchange(1) == 0:
        verdict.reason.write(message)


def check(condition: bool, message: Message) -> None:
    """What must hold, and what is said when it does not."""
    if not condition:
        fail(message)


def skip(message: Message) -> None:
    """The machine has not what the test is about."""
    if verdict.failed.load() == 0:
        verdict.skipped = True
        verdict.reason.write(message)


# All CPUs at once


class Share(Protocol):
    def run(self, cpu: u32) -> None:
        """What each CPU does, as a step of long work."""
        ...


class Crew:
    """What all CPUs do; `left` counts those that have not done it."""

    share: Share
    left: Atomic[u32]


class Place(PerCpu):
    work: Embedded[Work]


class ShareTask(Task):
    def step(self) -> Progress:
        crew.share.run(cpu_id())
        crew.left.sub(1)
        return Progress.DONE


crew: Final = Crew()
share_task: Final = ShareTask()


def on_all_cpus(share: Share) -> bool:
    """Every online CPU does its share at once. Interrupts that wait are taken where it polls for them. False when it
    takes too long: then the test has failed, and no other can be run.
    """
    crew.share = share
    crew.left.store(len(online))
    for cpu in online:
        if cpu != cpu_id():
            call_on(cpu, start_share, 0)
    share.run(cpu_id())
    crew.left.sub(1)
    return wait_until_done()


def start_share(argument: u64) -> None:
    work = Place.this().work
    work.init(share_task)
    work.start()


@unbounded("ends with the time that a share may take")
def wait_until_done() -> bool:
    deadline = now() + LONGEST
    while crew.left.load_acquire() != 0:
        if now() > deadline:
            fail(f"{crew.left.load()} CPUs do not finish their share")
            return False
        attend()
    return True


def attend() -> None:
    """What the boot CPU does while it waits in a test: its interrupts and softirqs."""
    poll_interrupts()
    run_softirqs()
    relax()


# The run


@options.entry(name="selftest")
def selftest(text: str) -> bool:
    global asked
    asked = text
    return len(text) != 0


def run_asked() -> None:
    """Does nothing when none is asked for, else does not come back."""
    if asked == "":
        return
    for name in Fields(asked, ","):
        if name != "all" and not is_known(name):
            note_failure(name, "there is no such self-test")
            list_known()
    for test in selftests:
        if is_asked(test.name):
            run(test)
    finish()


def is_known(name: str) -> bool:
    for test in selftests:
        if test.name == name:
            return True
    return False


def is_asked(name: str) -> bool:
    for part in Fields(asked, ","):
        if part == name or part == "all":
            return True
    return False


def run(test: SelfTest) -> None:
    verdict.failed.store(0)
    verdict.skipped = False
    verdict.reason.clear()
    set_under_test(test.name)
    test.run()
    set_under_test("")
    if verdict.failed.load() != 0:
        note_failure(test.name, verdict.reason.text)
    elif verdict.skipped:
        console.print(f"selftest {test.name}: skipped: {verdict.reason.text}")
    else:
        console.print(f"selftest {test.name}: ok")
    if crew.left.load() != 0:
        finish()


def note_failure(name: str, reason: str) -> None:
    console.print(f"selftest {name}: failed: {reason}")
    if not verdict.any_failed:
        verdict.any_failed = True
        verdict.first = name
        verdict.first_reason.put(reason)


def list_known() -> None:
    for test in selftests:
        console.print(f"  {test.name}")


def finish() -> None:
    if verdict.any_failed:
        console.print(f"DONE selftest fail {verdict.first}: {verdict.first_reason.text}")
    else:
        console.print("DONE selftest ok")
    power_off()
