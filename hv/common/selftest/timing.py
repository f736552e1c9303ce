"""Self-tests of timers on all CPUs, and of the log under a flood of lines."""

from hv.arch import cpu_id, now, poll_interrupts
from hv.common.kernel.console import console
from hv.common.kernel.cpus import online
from hv.common.kernel.log import RateLimit, limited
from hv.common.kernel.selftest import Share, attend, check, on_all_cpus, selftests
from hv.common.kernel.time import MICROSECOND, SECOND, Ns
from hv.common.kernel.timer import Timer, TimerOwner
from hv.config import CONFIG_NR_CPUS
from hv.lang import Embedded, Final, PerCpu, array, u32, u64, unbounded

TIMERS: Final = 32  # on each CPU
STEP: Final = 500 * MICROSECOND  # between deadlines
LATENESS: Final[u64] = 20 * SECOND  # an emulated CPU may not run for long; a timer that is lost never comes
LINES: Final = 50  # that each CPU prints


class Bell(TimerOwner):
    """Notes when it rang, and that no earlier one of its CPU has yet to ring."""

    timer: Embedded[Timer]
    due: Ns
    rang: Ns  # 0: not yet
    in_time: bool  # it was set before any was due

    def expired(self, now: Ns) -> None:
        belfry = Belfry.this()
        check(now >= self.due, f"a timer for {self.due} ns expired at {now} ns")
        check(self.rang == 0, "a timer expired twice")
        check(self.due >= belfry.last or not self.in_time, "timers expired out of order")
        self.rang = now
        belfry.last = self.due
        belfry.left -= 1
        belfry.latest = max(belfry.latest, now - self.due)


class Belfry(PerCpu):
    bells: array[Bell, TIMERS]
    last: Ns
    left: u32
    latest: u64  # ns


class Belfries:
    start: Ns  # the first deadline


belfries: Final = Belfries()


@selftests.entry(name="timers")
def timers() -> None:
    """Every CPU's timers, set in a mixed order, and half of them by another CPU, expire in the order of their
    deadlines, none before its time, and none is lost.
    """
    start = Ns(now() + SECOND)
    belfries.start = start
    for cpu in online:
        prepare(cpu, start)
    on_all_cpus(timer_setting)
    wait_for_bells(start)
    worst: u64 = 0
    for cpu in online:
        belfry = Belfry.on(cpu)
        check(belfry.left == 0, f"{belfry.left} timers of CPU {cpu} did not expire")
        worst = max(worst, belfry.latest)
    console.print(f"selftest timers: the latest was {worst // MICROSECOND} us late")
    check(worst < LATENESS, f"a timer was {worst} ns late")


def prepare(cpu: u32, start: Ns) -> None:
    belfry = Belfry.on(cpu)
    belfry.last = Ns(0)
    belfry.latest = 0
    belfry.left = TIMERS
    for i, bell in enumerate(belfry.bells):
        bell.timer.init(bell)
        bell.rang = Ns(0)
        bell.due = Ns(start + u64(i * 13 % TIMERS) * STEP)


class TimerSetting(Share):
    def run(self, cpu: u32) -> None:
        """The even ones are this CPU's own, the odd ones are the next CPU's. Each is set for another time before."""
        next = following(cpu)
        for i in range(TIMERS):
            target = cpu if i % 2 == 0 else next
            bell = Belfry.on(target).bells[i]
            bell.timer.set_on(target, Ns(bell.due + SECOND))
            bell.in_time = now() < belfries.start
            bell.timer.set_on(target, bell.due)
            poll_interrupts()


timer_setting: Final = TimerSetting()


def following(cpu: u32) -> u32:
    """The next online CPU, or the same when there is no other."""
    for step in range(1, CONFIG_NR_CPUS):
        if (cpu + step) % CONFIG_NR_CPUS in online:
            return (cpu + step) % CONFIG_NR_CPUS
    return cpu


@unbounded("ends with the time that a timer may be late")
def wait_for_bells(start: Ns) -> None:
    limit = start + TIMERS * STEP + LATENESS
    while now() < limit and not all_rang():
        attend()


def all_rang() -> bool:
    for cpu in online:
        if Belfry.on(cpu).left != 0:
            return False
    return True


class Flood:
    limit: RateLimit


flood: Final = Flood()


@selftests.entry(name="log-flood")
def log_flood() -> None:
    """All CPUs print at once, whole lines; lines about guests are limited in number, and those left out are counted."""
    began = now()
    flood.limit.second = began
    flood.limit.printed = 0
    flood.limit.left_out = 0
    on_all_cpus(line_printing)
    seconds = (now() - began) // SECOND + 2
    printed = u64(flood.limit.printed) + u64(flood.limit.left_out)
    check(printed != 0, "the limit counted nothing")
    check(u64(flood.limit.left_out) + seconds * 20 >= u64(LINES), "more lines than 20 a second were let through")


class LinePrinting(Share):
    def run(self, cpu: u32) -> None:
        for i in range(LINES):
            console.print(f"flood {cpu_id()} line {i} of CPU {cpu} ----------------------------------------------.")
            limited(flood.limit, f"flood about guests from CPU {cpu}")
            poll_interrupts()


line_printing: Final = LinePrinting()
