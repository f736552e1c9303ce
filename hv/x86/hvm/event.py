"""What a guest is made to take at its next instruction: an interrupt, an NMI, an exception (Intel SDM 3A, 6)."""

from hv.lang import Final, U8Enum, u8, u32, u64, value

NO_ERROR_CODE: Final[u32] = 0

DIVIDE: Final[u8] = 0
DEBUG: Final[u8] = 1
NMI: Final[u8] = 2
BREAKPOINT: Final[u8] = 3
OVERFLOW: Final[u8] = 4
UNDEFINED: Final[u8] = 6
DOUBLE_FAULT: Final[u8] = 8
INVALID_TSS: Final[u8] = 10
NO_SEGMENT: Final[u8] = 11
STACK_FAULT: Final[u8] = 12
PROTECTION: Final[u8] = 13
PAGE_FAULT: Final[u8] = 14
ALIGNMENT: Final[u8] = 17
MACHINE_CHECK: Final[u8] = 18


class EventKind(U8Enum):
    """The numbers that SVM and VMX both use."""

    INTERRUPT = 0
    NMI = 2
    EXCEPTION = 3
    SOFTWARE = 4
    NOTHING = 7


@value
class Event:
    kind: EventKind
    vector: u8
    has_error: bool
    error: u32


NOTHING: Final = Event(EventKind.NOTHING, 0, False, 0)


def comes_again(event: Event) -> bool:
    """Whether an event in whose delivery the guest came out has to be injected again. A software interrupt comes by
    itself, since its instruction is done again; so do INT3 and INTO, which SVM reports as exceptions (AMD APM 2,
    15.7.2 and 15.20).
    """
    match event.kind:
        case EventKind.INTERRUPT | EventKind.NMI:
            return True
        case EventKind.EXCEPTION:
            return event.vector not in (BREAKPOINT, OVERFLOW)
        case _:
            return False


class Severity(U8Enum):
    """How an exception goes together with another that comes while it is delivered (table 6-5 there)."""

    BENIGN = 0
    CONTRIBUTORY = 1
    PAGE_FAULT = 2
    DOUBLE_FAULT = 3


def severity(vector: u8) -> Severity:
    match vector:
        case 0 | 10 | 11 | 12 | 13:
            return Severity.CONTRIBUTORY
        case 14:
            return Severity.PAGE_FAULT
        case 8:
            return Severity.DOUBLE_FAULT
        case _:
            return Severity.BENIGN


class Together(U8Enum):
    """What comes of two events."""

    SECOND = 0  # the second is taken; the first comes again by itself
    DOUBLE = 1
    TRIPLE = 2


def together(first: Event, second: Event) -> Together:
    """Of an exception that is raised while an event is being delivered."""
    if first.kind != EventKind.EXCEPTION or second.kind != EventKind.EXCEPTION:
        return Together.SECOND
    before = severity(first.vector)
    after = severity(second.vector)
    if before == Severity.DOUBLE_FAULT and after != Severity.BENIGN:
        return Together.TRIPLE
    if before == Severity.CONTRIBUTORY and after == Severity.CONTRIBUTORY:
        return Together.DOUBLE
    if before == Severity.PAGE_FAULT and after in (Severity.CONTRIBUTORY, Severity.PAGE_FAULT):
        return Together.DOUBLE
    return Together.SECOND


def exception(vector: u8) -> Event:
    return Event(EventKind.EXCEPTION, vector, False, 0)


def fault(vector: u8, error: u64) -> Event:
    """One with an error code."""
    return Event(EventKind.EXCEPTION, vector, True, u32(error))


def interrupt(vector: u8) -> Event:
    return Event(EventKind.INTERRUPT, vector, False, 0)


def nmi() -> Event:
    return Event(EventKind.NMI, NMI, False, 0)
