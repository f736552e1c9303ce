"""A guest that sleeps until its timer rings, again and again, and tells how late it goes on: first alone, later when a
neighbour that waited does what it can.

Words of its command line: `count` timers each time, `period` us from one to the next, and `after` ms, from its start to
the first of the second time: what the neighbour waits, and somewhat more. 0: there is no second time.
"""

from guests.lib import exceptions  # noqa: F401 (the assembly calls it)
from guests.lib.arguments import argument
from guests.lib.cpu import instruction_barrier, interrupt_window, wait_for_interrupt
from guests.lib.ending import give_up
from guests.lib.gic import gic
from guests.lib.hypercall import power_off
from guests.lib.text import line
from guests.lib.timer import CNTFRQ_EL0, CNTV_CTL_EL0, CNTV_CVAL_EL0, ENABLE, INTID, counter, milliseconds, sleep, stop
from guests.lib.uart import uart
from hv.lang import Embedded, Final, array, bounded, export, truncate, u32, u64, unbounded

MOST: Final = 1 << 14


class Delays:
    """In ticks, in order."""

    sorted: array[u32, MOST]
    count: u32

    def clear(self) -> None:
        self.count = 0

    @unbounded("goes down to the first")
    def add(self, ticks: u32) -> None:
        at = self.count
        while at != 0 and self.sorted[at - 1] > ticks:
            self.sorted[at] = self.sorted[at - 1]
            at -= 1
        self.sorted[at] = ticks
        self.count += 1

    def percentile(self, percent: u32) -> u64:
        """In ns: so many of a hundred were no later."""
        return nanoseconds(self.sorted[(self.count * percent + 99) // 100 - 1])


class Latency:
    delays: Embedded[Delays]


latency: Final = Latency()


def nanoseconds(ticks: u32) -> u64:
    return u64(ticks) * 1_000_000_000 // CNTFRQ_EL0.read()


@unbounded("the timer comes to the deadline")
def late(deadline: u64) -> u64:
    """Sleeps until then. How many ticks later it goes on."""
    CNTV_CVAL_EL0.write(deadline)
    now = counter()
    while now < deadline:
        CNTV_CTL_EL0.write(ENABLE)
        instruction_barrier()
        wait_for_interrupt()
        now = counter()
        interrupt_window()
    stop()
    return now - deadline


def measure(name: str, count: u32, period: u64) -> u64:
    """The 99th percentile, in ns."""
    delays = latency.delays
    delays.clear()
    deadline = counter() + period
    for _ in bounded(count, MOST):
        delays.add(truncate(u32, min(late(deadline), 0xFFFF_FFFF)))
        deadline = max(deadline, counter()) + period
    p50, p90, p99 = delays.percentile(50), delays.percentile(90), delays.percentile(99)
    line(f"{name}: {count} timers, late by ns: p50={p50} p90={p90} p99={p99} max={delays.percentile(100)}")
    return p99


@export
def guest_main(tree: u64) -> None:
    began = counter()
    uart.init()
    gic.init()
    gic.init_cpu()
    gic.enable(INTID)
    count = argument(tree, "count", 2000)
    period = CNTFRQ_EL0.read() * argument(tree, "period", 500) // 1_000_000
    after = milliseconds(argument(tree, "after", 0))
    line("READY latency")
    if count == 0 or count > MOST:
        give_up(f"count is not from 1 to {MOST}")
    quiet = measure("quiet", u32(count), period)
    if after != 0:
        now = counter()
        if now - began >= after:
            give_up("the quiet time was too short")
        sleep(began + after - now)
        loud = measure("loud", u32(count), period)
        line(f"99 of 100 timers: {quiet} ns late at most when quiet, {loud} ns when loud")
    line("DONE latency ok")
    power_off()
