"""The watchdog: a CPU that hangs in the hypervisor is found by another, and tells where it is.

Each CPU's heart beats in a timer of its own, so a beat says that the CPU takes interrupts and runs its softirqs. At
each beat a CPU looks at the beats of the next one, its neighbour in a ring of all that are online. A neighbour whose
count has not changed in LOOKS looks in a row is stuck. It is interrupted urgently, and where that reaches a CPU that
has interrupts masked, it panics with its registers and a backtrace. One that has not answered by the next beat is told
of from outside, and that is the panic.

Looks are counted, not time: LOOKS looks take no less than the timeout, since each beat comes a period or more behind
the one before. A machine that stood still as a whole, as one does whose emulator was stopped, has missed one look. The
last beat of a CPU that hangs is seen within a period, so that it is found at most a period later than the timeout.

A CPU alone has no neighbour. When several hang, those are found whose neighbours live; when all do, none is.

`watchdog` on the command line turns it on, and `watchdog_timeout=` with a number of seconds that is not 0, as in Xen;
it is off by default. `watchdog=force` is taken as Xen has it: NMIs that nobody asked for are always told here.
"""

from hv.arch import cpu_id, now, send_urgent_ipi
from hv.common.kernel.cpus import online
from hv.common.kernel.evidence import tell_of
from hv.common.kernel.log import info, warning
from hv.common.kernel.options import options
from hv.common.kernel.panic import MachineState, line, panic, panic_about, trapped
from hv.common.kernel.time import SECOND, Ns
from hv.common.kernel.timer import Timer, TimerOwner
from hv.common.lib.parse import boolean, number
from hv.lang import Atomic, Embedded, Errno, Final, Never, PerCpu, u32, u64

LOOKS: Final[u32] = 5
LONGEST: Final[u64] = 86_400  # seconds of a timeout


class Settings:
    on: bool
    timeout: u64  # seconds; 0: the option was not given

    @property
    def seconds(self) -> u64:
        return 5 if self.timeout == 0 else self.timeout

    @property
    def period(self) -> u64:
        """Between a CPU's beats, in ns."""
        return self.seconds * SECOND // u64(LOOKS)


settings: Final = Settings()


class Heart(TimerOwner):
    """The timer of each CPU that beats; one owner for all."""

    def expired(self, now: Ns) -> None:
        watch = Watch.this()
        watch.beats.store_release(watch.beats.load_relaxed() + 1)
        watch.look()
        watch.timer.set(next_beat())


heart: Final = Heart()


class Watch(PerCpu):
    timer: Embedded[Timer]
    beats: Atomic[u32]  # written by this CPU alone
    beaten: Atomic[u64]  # ns: when, the last time; before the first, when it was set going
    suspected: Atomic[u32]  # 1: its neighbour found it stuck
    neighbour: u32
    seen: u32  # beats of the neighbour at the last look
    missed: u32  # looks since, in a row, that found no other

    def look(self) -> None:
        self.beaten.store_relaxed(now())
        other = Watch.on(self.neighbour)
        beats = other.beats.load_acquire()
        if beats != self.seen:
            self.seen = beats
            self.missed = 0
            return
        self.missed += 1
        if self.missed == LOOKS:
            other.suspected.store(1)
            send_urgent_ipi(self.neighbour)
        elif self.missed > LOOKS:
            silent.cpu = self.neighbour
            panic_about(f"Watchdog timer detects that CPU{silent.cpu} is stuck!", silent)


class Silent(MachineState):
    """A CPU that does not answer, seen from outside."""

    cpu: u32

    def print(self) -> None:
        watch = Watch.on(self.cpu)
        ago = (now() - watch.beaten.load_relaxed()) // SECOND
        line("  it does not answer: it has interrupts masked")
        beats = watch.beats.load_relaxed()
        if beats == 0:
            line(f"  its heart has not beaten once in {ago} s")
        else:
            line(f"  its heart has beaten {beats} times, the last time {ago} s ago")
        tell_of(self.cpu)


silent: Final = Silent()


def next_beat() -> Ns:
    return Ns(now() + settings.period)


def is_suspected() -> bool:
    """Whether this CPU has been found stuck: for the handler of urgent interrupts."""
    return Watch.this().suspected.load_acquire() != 0


def confess() -> Never:
    """This CPU was stuck. A backtrace from here crosses the interrupt."""
    panic(f"Watchdog timer detects that CPU{cpu_id()} is stuck!")


def confess_at(state: MachineState, pc: u64, frame: u64) -> Never:
    """As `confess`, where the architecture knows the moment."""
    trapped(f"Watchdog timer detects that CPU{cpu_id()} is stuck!", state, pc, frame)


def start_watchdog() -> None:
    """When all CPUs are online."""
    if not settings.on:
        return
    if len(online) == 1:
        warning("watchdog: off, since no other CPU is there to watch this one")
        return
    make_ring()
    for cpu in online:
        watch = Watch.on(cpu)
        watch.timer.init(heart)
        watch.beaten.store(now())
        watch.timer.set_on(cpu, next_beat())
    info(f"watchdog: a CPU that hangs for {settings.seconds} s is told by its neighbour")


def make_ring() -> None:
    """Each CPU's neighbour is the next online one, the last one's the first."""
    last: u32 = 0
    for cpu in online:
        last = cpu
    for cpu in online:
        Watch.on(last).neighbour = cpu
        last = cpu


@options.entry(name="watchdog")
def watchdog(text: str) -> bool:
    try:
        settings.on = text == "force" or boolean(text)
    except Errno:
        return False
    return True


@options.entry(name="watchdog_timeout")
def watchdog_timeout(text: str) -> bool:
    try:
        seconds = number(text)
    except Errno:
        return False
    if seconds > LONGEST:
        return False
    settings.on = seconds != 0
    settings.timeout = seconds
    return True
