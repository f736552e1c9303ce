"""Enums over integers of every width."""

from hv.lang import Final, U8Enum, U16Enum, U32Enum, U64Enum, array, u8, u16, u32, u64, value

BASE: Final = 0x40


class State(U8Enum):
    FREE = 0
    RESERVED = 1
    BOUND = 250


class Reason(U16Enum):
    """Without a member 0."""

    FIRST = BASE
    SECOND = BASE + 1
    LAST = 0xFFFF


class Wide(U32Enum):
    LOW = 0
    HIGH = 0x8000_0000


class Widest(U64Enum):
    ALL = 0xFFFF_FFFF_FFFF_FFFF
    NONE = 0


@value
class Event:
    state: State
    reason: Reason


class Holder:
    state: State
    reason: Reason
    history: array[State, 3]


holder: Final = Holder()
ORDER: Final[array[State, 3]] = array(State.BOUND, State.FREE, State.RESERVED)


def following(state: State) -> State:
    if state == State.FREE:
        return State.RESERVED
    return State.BOUND if state == State.RESERVED else State.FREE


def calc_from_integer(x: u8) -> u8:
    return u8(following(State(x)))


def calc_from_wider(x: u32) -> u64:
    return u64(Reason(u16(x)))


def test_to_integers() -> u64:
    return u64(State.BOUND) + u64(Reason.LAST) + u64(Wide.HIGH) + u64(u32(Wide.HIGH) + u32(Wide.HIGH))


def test_widest() -> u64:
    return u64(Widest.ALL) + 2


def test_names() -> u64:
    state = following(State.FREE)
    return len(state.name) * 100 + u64(ord(state.name[0])) + len(Reason.SECOND.name)


def test_starts_as_zero() -> u64:
    return u64(holder.state) + u64(holder.reason) + u64(holder.history[2]) + u64(holder.state == State.FREE)


def test_zero_that_names_no_member() -> u64:
    return u64(holder.reason == Reason.FIRST) + u64(holder.reason != Reason.LAST) * 2


def test_stored() -> u64:
    holder.state = State.BOUND
    holder.history[1] = holder.state
    event = Event(holder.history[1], reason=Reason.SECOND)
    return u64(event.state) * 1000 + u64(event.reason)


def test_table() -> u64:
    total: u64 = 0
    for state in ORDER:
        total = total * 256 + u64(state)
    return total


def test_membership() -> u64:
    state = State.RESERVED
    return u64(state in (State.FREE, State.RESERVED)) + u64(state not in (State.BOUND, State.FREE)) * 2


def trap_no_member() -> u64:
    x: u8 = 2
    return u64(State(x))


def trap_no_member_of_wide() -> u64:
    x: u32 = 1
    return u64(Wide(x))
