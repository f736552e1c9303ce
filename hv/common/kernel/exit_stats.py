"""How long a CPU stays in the hypervisor at a time, and what for: the number, the sum and the longest of its runs for
each reason. Keys show and forget them (exit_dump.py).

A run begins when a guest's exit, or what ended the CPU's sleep, has brought it here, and ends where a guest is to be
entered, or where the CPU has nothing to run. So all that stands between belongs to it: the exit's own handling,
interrupts, softirqs, the switch to another vCPU. Not in it: the stubs that store and load the guest's registers. Steps
of long work (work.py) are also counted apart, wherever they are done.

Times are kept in the counter's ticks and shown in nanoseconds, as exact as a tick is long. Where an emulator lets one
instruction take one nanosecond of the machine's time, and one CPU is all that runs, they are numbers of instructions.

Each CPU writes its own records alone; who wants to see them calls it. Compiled in with CONFIG_EXIT_STATS.
"""

from hv.arch import EXIT_REASONS, cpu_id, ticks
from hv.common.kernel.time import Ticks
from hv.lang import Embedded, Final, PerCpu, array, u32, u64

WAKE_UP: Final[u32] = EXIT_REASONS  # behind the architecture's own
STEP: Final[u32] = EXIT_REASONS + 1
REASONS: Final = EXIT_REASONS + 2


class Record:
    """Of the runs for one reason, in ticks."""

    count: u64
    total: u64
    longest: u64
    cpu: u32  # where the longest was

    def add(self, length: u64, cpu: u32) -> None:
        self.count += 1
        self.total += length
        if length > self.longest:
            self.longest = length
            self.cpu = cpu

    def merge(self, other: "Record") -> None:
        self.count += other.count
        self.total += other.total
        if other.longest > self.longest:
            self.longest = other.longest
            self.cpu = other.cpu

    def clear(self) -> None:
        self.count = 0
        self.total = 0
        self.longest = 0


class Records:
    of: array[Record, REASONS]

    def clear(self) -> None:
        for record in self.of:
            record.clear()


class Runs(PerCpu):
    """This CPU's finished runs, and the one that is under way."""

    records: Embedded[Records]
    since: Ticks
    reason: u32


def begin_run(reason: u32) -> None:
    runs = Runs.this()
    runs.reason = reason
    runs.since = ticks()


def end_run() -> None:
    runs = Runs.this()
    runs.records.of[runs.reason].add(ticks() - runs.since, cpu_id())


def count_step(since: Ticks) -> None:
    """A step of long work that was begun at `since` is done."""
    Runs.this().records.of[STEP].add(ticks() - since, cpu_id())
