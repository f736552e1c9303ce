"""Declared hypercalls: one decorated function holds number, sub-operation, argument, who may call and what it costs."""

from hv.lang import (
    Adapted,
    Callable,
    Errno,
    Final,
    NewType,
    Protocol,
    TypeVar,
    U8Enum,
    abi,
    bounded,
    i64,
    preemptible,
    preemption_policy,
    raises,
    u8,
    u32,
    u64,
    value,
)

Port = NewType("Port", u32)

EVENT_CHANNEL_OP: Final[u32] = 32
MEMORY_OP: Final[u32] = 12


class Privilege(U8Enum):
    ANY = 0
    CONTROL = 1


class Vcpu:
    id: u32
    privilege: Privilege
    sent: u32


class Memory:
    """What stands for a guest's memory: one structure of 64 bytes at most."""

    port: u32
    count: u32
    start: u32
    sum: u32


class Argument(Protocol):
    def load(self, memory: Memory) -> None: ...

    def store(self, memory: Memory) -> None: ...


A = TypeVar("A", bound=Argument)


@value
class Hypercall:
    number: u32
    sub: u32
    may_call: Privilege
    event: str
    perform: Callable[[Vcpu, Memory], i64]


def perform(operation: Callable[[Vcpu, A], u64], caller: Vcpu, memory: Memory) -> i64:
    """Reads the argument once, calls, and writes the argument back."""
    request = A()
    load(request, memory)
    try:
        answer = operation(caller, request)
        store(request, memory)
        return i64(answer)
    except Errno as e:
        store(request, memory)
        return -i64(e.code)


@abi("xen/event_channel.h", "evtchn_send_t")
class Send(Argument):
    port: Port

    def load(self, memory: Memory) -> None:
        self.port = Port(memory.port)

    def store(self, memory: Memory) -> None:
        pass


@abi("none", "none")
class Populate(Argument):
    start: u32
    count: u32

    def load(self, memory: Memory) -> None:
        self.start = memory.start
        self.count = memory.count

    def store(self, memory: Memory) -> None:
        memory.start = self.start


def load(request: A, memory: Memory) -> None:
    request.load(memory)


def store(request: A, memory: Memory) -> None:
    request.store(memory)


hypercall: Final = Adapted[Hypercall](perform)
asked: u32 = 0


@preemption_policy
def wanted() -> bool:
    global asked
    asked += 1
    return asked % 5 == 0


@hypercall(EVENT_CHANNEL_OP, sub=4, may_call=Privilege.ANY, event="evtchn_send")
@raises
def send(caller: Vcpu, request: Send) -> u64:
    """Signals the other end of a port. EINVAL: the port cannot be sent to."""
    if request.port > 1000:
        raise Errno.EINVAL
    caller.sent += u32(request.port)
    return 0


@hypercall(MEMORY_OP, 6, may_call=Privilege.CONTROL, event="populate")
@raises
def populate(caller: Vcpu, request: Populate) -> u64:
    """Adds extents; continues itself when preempted."""
    for _ in preemptible(range(request.start, request.count), request):
        caller.sent += 1
    return u64(request.count)


@hypercall(MEMORY_OP, 7, Privilege.ANY, "count")
def count(caller: Vcpu, request: Populate) -> u64:
    return u64(caller.sent) + u64(request.count)


def dispatch(caller: Vcpu, number: u32, sub: u32, memory: Memory) -> i64:
    for call in hypercall:
        if call.number == number and call.sub == sub:
            if call.may_call != Privilege.ANY and caller.privilege == Privilege.ANY:
                return -1
            return call.perform(caller, memory)
    return -38


def calc_sent(port: u32) -> i64:
    caller = Vcpu()
    memory = Memory()
    memory.port = port
    return dispatch(caller, 32, 4, memory) * 100_000 + i64(caller.sent)


def calc_continued(n: u8, control: bool) -> i64:
    caller = Vcpu()
    if control:
        caller.privilege = Privilege.CONTROL
    memory = Memory()
    memory.count = u32(n)
    answer: i64 = 0
    calls: i64 = 0
    for _ in bounded(u32(300), 300):
        calls += 1
        answer = dispatch(caller, 12, 6, memory)
        if answer != -85:
            break
    return answer * 1_000_000 + calls * 1000 + i64(caller.sent)


def test_others() -> i64:
    caller = Vcpu()
    caller.sent = 5
    memory = Memory()
    memory.count = 7
    return dispatch(caller, 12, 7, memory) * 1000 + dispatch(caller, 12, 9, memory)


def test_table() -> u32:
    found: u32 = 0
    for call in hypercall:
        found = found * 100 + call.number + call.sub + u32(len(call.event))
    return found
