"""match on integers and enum members."""

from hv.lang import Final, NewType, U8Enum, i32, u8, u32, u64

Port = NewType("Port", u32)


class State(U8Enum):
    FREE = 0
    BOUND = 1
    PIRQ = 2
    VIRQ = 3


class Holder:
    state: State


holder: Final = Holder()
calls: u32 = 0


def next_state() -> State:
    global calls
    calls += 1
    return State.PIRQ


def of_state(state: State) -> u64:
    match state:
        case State.FREE:
            return 10
        case State.BOUND | State.VIRQ:
            return 20
        case State.PIRQ:
            return 30


def of_number(n: u32) -> u64:
    found: u64 = 1
    match n:
        case 0:
            found = 100
        case 1 | 2 | 3:
            found = 200 + u64(n)
        case 0xFFFF_FFFF:
            pass
        case _:
            if n > 1000:
                found = 300
    return found


def of_signed(n: i32) -> i32:
    match n:
        case -1:
            return 1
        case 0 | -2147483648:
            return 2
        case _:
            return 3


def calc_state(n: u8) -> u64:
    return of_state(State(n))


def calc_number(n: u32) -> u64:
    return of_number(n)


def calc_signed(n: i32) -> i32:
    return of_signed(n)


def test_every_state() -> u64:
    total: u64 = 0
    for n in range(4):
        total = total * 100 + of_state(State(u8(n)))
    return total


def test_numbers() -> u64:
    return of_number(2) + of_number(0xFFFF_FFFF) + of_number(500) + of_number(5000)


def test_no_case_matches() -> u64:
    found: u64 = 5
    holder.state = State.VIRQ
    match holder.state:
        case State.FREE:
            found = 1
        case State.BOUND:
            found = 2
    return found


def test_subject_is_evaluated_once() -> u64:
    found: u64 = 0
    match next_state():
        case State.FREE:
            found = 1
        case State.BOUND:
            found = 2
        case State.PIRQ:
            found = 3
        case _:
            found = 4
    return found * 10 + u64(calls)


def test_inside_loops() -> u64:
    total: u64 = 0
    for i in range(10):
        match i:
            case 2:
                continue
            case 6:
                break
            case _:
                total = total * 10 + u64(i)
    return total


def test_kinds() -> u64:
    port = Port(4)
    match port:
        case 4:
            return 1
        case _:
            return 2
