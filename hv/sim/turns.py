"""CPUs that take turns: one seed, one interleaving.

Each CPU is a thread, and exactly one of them goes on at a time. Wherever CPUs can meet, at each atomic operation and
each function of hv.arch that waits, polls or sends, the CPU may have to pass its turn on to another: the seed decides.
So a failure that depends on the order of things comes again whenever its seed does.

A CPU that spins always passes its turn on. One that waits for an interrupt has none until an interrupt is pending; when
all CPUs wait, the clock moves to the first alarm. When nothing can go on, or the steps that were allowed are used up,
the machine ends with status STUCK and says where each CPU is. Time passes with the steps.

Whoever has the turn has all of this module's state; the turn is a POSIX semaphore, on which the next CPU waits.
"""

from hv.common.kernel.time import Ns
from hv.config import CONFIG_NR_CPUS
from hv.lang import Final, PerCpu, U8Enum, address_of, array, bounded, extern, i32, u32, u64, unbounded
from hv.sim import machine

STUCK: Final[i32] = 68  # exit status of the process that is the machine
KEPT: Final = 4096  # switches: the last so many are kept
RATES: Final[array[u32, 4]] = array(1, 2, 5, 20)


class Point(U8Enum):
    """Where a CPU is that could pass its turn on."""

    ABSENT = 0  # takes no part, or no more
    READY = 1  # between two operations
    SPINS = 2
    WAITS = 3  # for an interrupt


class Seat(PerCpu):
    turn: array[u64, 4]  # a sem_t, of 32 bytes
    point: Point
    steps: u64


class Switch:
    step: u64
    cpu: u32  # that went on from here


class Turns:
    going: bool
    choosing: bool  # what it looks at is atomic too, and is no point
    random: u64
    rate: u32  # a CPU that could go on passes its turn once in so many steps
    seats: u32  # CPUs 0 … seats - 1 take part
    steps: u64
    limit: u64
    tick: u64  # ns in a step
    switches: array[Switch, KEPT]  # a ring
    switch_count: u64
    checksum: u64  # of all switches


turns: Final = Turns()


def begin(seed: u64, cpus: u32, limit: u64, tick: u64) -> None:
    """Before the threads of CPUs 0 … cpus - 1 begin: nobody has a turn yet."""
    assert 0 < cpus <= CONFIG_NR_CPUS, "so many CPUs there are not"
    turns.random = seed
    turns.rate = RATES[below(4)]
    turns.seats = cpus
    turns.steps = 0
    turns.limit = limit
    turns.tick = tick
    turns.switch_count = 0
    turns.checksum = 0
    for cpu in bounded(cpus, CONFIG_NR_CPUS):
        seat = Seat.on(cpu)
        seat.point = Point.READY
        seat.steps = 0
        sem_init(address_of(seat.turn), 0, 0)
    turns.going = True


def start() -> None:
    """Gives the first turn. The caller takes no part, and calls nothing until all CPUs have left."""
    _give(_choose(0))


def take_seat() -> None:
    """Waits for this CPU's first turn."""
    _await_turn()


def leave() -> None:
    """This CPU has done its work."""
    turns.choosing = True
    Seat.this().point = Point.ABSENT
    for cpu in bounded(turns.seats, CONFIG_NR_CPUS):
        if Seat.on(cpu).point != Point.ABSENT:
            _give(_choose(machine.CpuNumber.this().number))
            return
    turns.going = False
    turns.choosing = False


def passing() -> None:
    """A point between two operations."""
    if turns.going and not turns.choosing:
        _step(Point.READY)


def spins() -> None:
    """This CPU can only go on when another does something."""
    if turns.going:
        _step(Point.SPINS)


def waits() -> None:
    """Until an interrupt is pending for this CPU."""
    if turns.going:
        _step(Point.WAITS)


def below(limit: u32) -> u32:
    """The next random number: splitmix64."""
    turns.random += 0x9E37_79B9_7F4A_7C15
    z = turns.random
    z = (z ^ z >> 30) * 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) * 0x94D0_49BB_1331_11EB
    return u32((z ^ z >> 31) % u64(limit))


def _step(point: Point) -> None:
    turns.choosing = True
    turns.steps += 1
    machine.advance(turns.tick)
    me = machine.CpuNumber.this().number
    seat = Seat.this()
    seat.point = point
    seat.steps += 1
    if turns.steps >= turns.limit:
        _stuck("the steps are used up")
    if point == Point.READY and below(turns.rate) != 0:
        turns.choosing = False
        return
    chosen = _choose(me)
    if chosen == me:
        seat.point = Point.READY
        turns.choosing = False
        return
    _give(chosen)
    _await_turn()


def _choose(me: u32) -> u32:
    """Who goes on: most often one that does not spin, and one that spins itself only when no other can."""
    ready: u32 = 0
    able: u32 = 0
    for cpu in bounded(turns.seats, CONFIG_NR_CPUS):
        if _is_able(cpu) and cpu != me:
            able += 1
            ready += u32(Seat.on(cpu).point == Point.READY)
    mine = Seat.on(me).point == Point.READY
    ready += u32(mine)
    able += u32(mine)
    if able == 0:
        return me if _is_able(me) else _wake_by_alarm()
    patient = ready != 0 and below(4) != 0
    left = below(ready if patient else able)
    for cpu in bounded(turns.seats, CONFIG_NR_CPUS):
        point = Seat.on(cpu).point
        if point == Point.READY or (not patient and cpu != me and point == Point.SPINS):
            if left == 0:
                return cpu
            left -= 1
    return me


def _is_able(cpu: u32) -> bool:
    """One that waits and has an interrupt becomes ready."""
    seat = Seat.on(cpu)
    if seat.point == Point.WAITS and machine.pending_on(cpu):
        seat.point = Point.READY
    return seat.point == Point.READY or seat.point == Point.SPINS


def _wake_by_alarm() -> u32:
    """All CPUs wait: time passes until the first of their alarms."""
    chosen: u32 = CONFIG_NR_CPUS
    earliest = Ns(0)
    for cpu in bounded(turns.seats, CONFIG_NR_CPUS):
        state = machine.SimulatedCpu.on(cpu)
        if (
            Seat.on(cpu).point == Point.WAITS
            and state.alarm_set
            and (chosen == CONFIG_NR_CPUS or state.alarm < earliest)
        ):
            chosen = cpu
            earliest = state.alarm
    if chosen == CONFIG_NR_CPUS:
        _stuck("every CPU waits for an interrupt")
        return 0
    now = machine.time()
    if earliest > now:
        machine.advance(earliest - now)
    Seat.on(chosen).point = Point.READY
    return chosen


def _give(cpu: u32) -> None:
    switch = turns.switches[u32(turns.switch_count % KEPT)]
    switch.step = turns.steps
    switch.cpu = cpu
    turns.switch_count += 1
    turns.checksum = (turns.checksum ^ turns.steps * 0x100 + u64(cpu)) * 0x0000_0100_0000_01B3
    sem_post(address_of(Seat.on(cpu).turn))


@unbounded("until the turn comes; a signal may end a wait before")
def _await_turn() -> None:
    while sem_wait(address_of(Seat.this().turn)) != 0:
        pass
    Seat.this().point = Point.READY
    turns.choosing = False


def _stuck(reason: str) -> None:
    machine.say(reason)
    machine.say(", step ")
    machine.say_number(turns.steps)
    for cpu in bounded(turns.seats, CONFIG_NR_CPUS):
        seat = Seat.on(cpu)
        machine.say("\nCPU ")
        machine.say_number(u64(cpu))
        machine.say(" ")
        machine.say(seat.point.name)
        machine.say(", its step ")
        machine.say_number(seat.steps)
    machine.say("\n")
    machine.end(STUCK)


@extern
def sem_init(semaphore: u64, shared: i32, value: u32) -> i32:
    """The C library's, as the others here."""
    ...


@extern
def sem_post(semaphore: u64) -> i32: ...


@extern
def sem_wait(semaphore: u64) -> i32: ...
