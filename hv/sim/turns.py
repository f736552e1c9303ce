"""CPUs that take turns: one seed, one interleaving.

Each CPU is a thread, and exactly one of them goes on at a time. Wherever CPUs can meet, at each atomic operation and
each function of hv.arch that waits, polls or sends, the CPU may have to pass its turn on to another: the seed decides.
So a failure that depends on the order of things comes again whenever its seed does.

A CPU that spins always passes its turn on. One that waits for an interrupt has none until an interrupt is pending; when
all CPUs wait, the clock moves to the first alarm. When nothing can go on, or the steps that were allowed are used up,
the machine ends with status STUCK and says where each CPU is. Time passes with the steps.

Whoever has the turn has all of this module's state; the turn is a POSIX semaphore, on which the next CPU waits. The
choice takes no longer for thousands of CPUs: each stands in the list of those that are at the same point.
"""

from hv.config import CONFIG_NR_CPUS
from hv.lang import Final, PerCpu, U8Enum, address_of, array, bounded, extern, i32, u8, u32, u64, unbounded
from hv.sim import machine

STUCK: Final[i32] = 68  # exit status of the process that is the machine
KEPT: Final = 4096  # switches: the last so many are kept
NEVER: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF
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
    place: u32  # in the list of those at this point
    steps: u64


class Seats:
    """The CPUs at one point, in no order."""

    cpus: array[u32, CONFIG_NR_CPUS]
    count: u32

    def add(self, cpu: u32) -> None:
        self.cpus[self.count] = cpu
        Seat.on(cpu).place = self.count
        self.count += 1

    def remove(self, cpu: u32) -> None:
        self.count -= 1
        place = Seat.on(cpu).place
        last = self.cpus[self.count]
        self.cpus[place] = last
        Seat.on(last).place = place


class Switch:
    step: u64
    cpu: u32  # that went on from here


class Turns:
    going: bool
    choosing: bool  # what it looks at is atomic too, and is no point
    random: u64
    rate: u32  # a CPU that could go on passes its turn once in so many steps
    seats: u32  # CPUs 0 … seats - 1 take part
    at: array[Seats, 4]  # by their point
    first_alarm: u64  # of those that wait
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
    turns.rate = RATES[below(4)] * max(cpus // 8, 1)  # with many CPUs a turn is longer, not a round
    turns.seats = cpus
    turns.steps = 0
    turns.limit = limit
    turns.tick = tick
    turns.switch_count = 0
    turns.checksum = 0
    turns.first_alarm = NEVER
    for seats in turns.at:
        seats.count = 0
    for cpu in bounded(cpus, CONFIG_NR_CPUS):
        seat = Seat.on(cpu)
        seat.point = Point.READY
        turns.at[u8(Point.READY)].add(cpu)
        seat.steps = 0
        sem_init(address_of(seat.turn), 0, 0)
    turns.going = True


def start() -> None:
    """Gives the first turn. The caller takes no part, and calls nothing until all CPUs have left."""
    turns.choosing = True
    _give(_choose(0))


def take_seat() -> None:
    """Waits for this CPU's first turn."""
    _await_turn()


def leave() -> None:
    """This CPU has done its work."""
    turns.choosing = True
    me = machine.CpuNumber.this().number
    _be_at(me, Point.ABSENT)
    if turns.at[u8(Point.ABSENT)].count != turns.seats:
        _give(_choose(me))
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


def interrupted(cpu: u32) -> None:
    """Another CPU has sent it an interrupt."""
    if turns.going and Seat.on(cpu).point == Point.WAITS:
        _be_at(cpu, Point.READY)


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
    Seat.this().steps += 1
    if turns.steps >= turns.limit:
        _be_at(me, point)
        _stuck("the steps are used up")
    if point == Point.READY and below(turns.rate) != 0:
        turns.choosing = False
        return
    _be_at(me, point)
    if point == Point.WAITS:
        _begin_to_wait(me)
    chosen = _choose(me)
    if chosen == me:
        _be_at(me, Point.READY)
        turns.choosing = False
        return
    _give(chosen)
    _await_turn()


def _be_at(cpu: u32, point: Point) -> None:
    seat = Seat.on(cpu)
    if seat.point != point:
        turns.at[u8(seat.point)].remove(cpu)
        seat.point = point
        turns.at[u8(point)].add(cpu)


def _begin_to_wait(me: u32) -> None:
    state = machine.SimulatedCpu.on(me)
    if machine.pending_on(me):
        _be_at(me, Point.READY)
    elif state.alarm_set:
        turns.first_alarm = min(turns.first_alarm, state.alarm)


def _choose(me: u32) -> u32:
    """Who goes on: most often one that does not spin, and one that spins itself only when no other can."""
    if machine.time() >= turns.first_alarm:
        _let_alarms_ring()
    ready = turns.at[u8(Point.READY)]
    spinning = turns.at[u8(Point.SPINS)]
    spins = Seat.on(me).point == Point.SPINS
    able = ready.count + spinning.count - u32(spins)
    if able == 0:
        return me if spins else _wake_by_alarm()
    patient = ready.count != 0 and below(4) != 0
    which = below(ready.count if patient else able)
    if which < ready.count:
        return ready.cpus[which]
    which -= ready.count
    if spins and which >= Seat.this().place:
        which += 1
    return spinning.cpus[which]


@unbounded("each step looks at a CPU that waits, or takes it from the list")
def _let_alarms_ring() -> None:
    """Those that wait and whose alarm has come are ready."""
    waiting = turns.at[u8(Point.WAITS)]
    turns.first_alarm = NEVER
    i: u32 = 0
    while i < waiting.count:
        cpu = waiting.cpus[i]
        state = machine.SimulatedCpu.on(cpu)
        if machine.pending_on(cpu):
            _be_at(cpu, Point.READY)
            continue
        if state.alarm_set:
            turns.first_alarm = min(turns.first_alarm, state.alarm)
        i += 1


def _wake_by_alarm() -> u32:
    """All CPUs wait: time passes until the first of their alarms."""
    _let_alarms_ring()
    ready = turns.at[u8(Point.READY)]
    if ready.count == 0:
        if turns.first_alarm == NEVER:
            _stuck("every CPU waits for an interrupt")
        machine.advance(turns.first_alarm - machine.time())
        _let_alarms_ring()
    return ready.cpus[below(ready.count)]


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
    _be_at(machine.CpuNumber.this().number, Point.READY)
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
