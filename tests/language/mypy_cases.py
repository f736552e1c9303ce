"""What mypy must say of a program: a comment at the end of a line holds a part of it. Elsewhere it says nothing."""

from hv.config import CONFIG_NR_CPUS
from hv.lang import (
    Adapted,
    Aligned,
    Atomic,
    Bits,
    Callable,
    Compat,
    Const,
    Embedded,
    Errno,
    Extension,
    Field,
    Final,
    Generic,
    Iterator,
    Long,
    Message,
    NewType,
    PerCpu,
    Protocol,
    Registry,
    TypeAlias,
    TypeVar,
    U8Enum,
    U8Flag,
    abi,
    array,
    asm,
    embedded,
    extensible,
    guard,
    must_use,
    narrow,
    packed,
    preemptible,
    preemption_policy,
    ptr,
    raises,
    size_of,
    step_extensions,
    truncate,
    u8,
    u32,
    u64,
    union,
    value,
    widen,
)


class Rank(U8Enum):
    LOW = 1
    HIGH = 2


class Access(U8Flag):
    R = 1
    W = 2


R = TypeVar("R", bound=Rank)
T = TypeVar("T")
N = TypeVar("N", bound=int)
SIZE: Final = 4


# Constants between brackets


@embedded
class Ring(Generic[T, N]):
    size: Const[N]
    items: array[T, N]

    def room(self) -> u64:
        return self.size + size_of(T)

    def first(self) -> T:
        return ptr[T](5)[0]


@value
class Held(Generic[R]):
    rank: Const[R]


@embedded
class Lock(Generic[R]):
    rank: Const[R]

    def __enter__(self) -> Held[R]:
        return Held[R]()

    def __exit__(self, *_: object) -> None: ...


class Owner:
    ring: Ring[u8, 64]
    other: Ring[u8, SIZE]
    low: Lock[Rank.LOW]
    table: array[u32, CONFIG_NR_CPUS]


ring: Final = Ring[u8, 64]()
sized: Final = Ring[str, SIZE]()
low: Final = Lock[Rank.LOW]()
high: Final = Lock[Rank.HIGH]()
tables: Final[array[Ring[u8, 64], 4]] = array()
numbers: Final[array[u32, 2]] = array(1, "b")  # mypy: incompatible type "str"
Table: TypeAlias = array[u32, 4]


def needs_low(held: Held[Rank.LOW]) -> None: ...


def locks() -> None:
    with low as held:
        needs_low(held)
    with high as wrong:
        needs_low(wrong)  # mypy: expected "Held[Literal[Rank.LOW]]"


def elements(owner: Owner, table: Table) -> str:
    owner.ring = ring
    owner.table[0] = "a"  # mypy: target has type "int"
    for inner in tables:
        inner.items[0] = 5
    table[0] = 1
    sized.first().upper()
    return ring.first()  # mypy: expected "str"


# Bit-fields


class Register(Bits[u64]):
    number = Field(31, 0)
    on = Field(32)
    rank = Field(40, 33, of=Rank)
    small = Field(48, 41, of=u8)


def bits() -> None:
    register = Register(number=5, on=True, rank=Rank.LOW, small=3)
    register.number += 1
    register.rank = Rank.HIGH
    register = Register(7)
    Register(numer=5)  # mypy: Unexpected keyword argument "numer"
    Register(rank=5)  # mypy: expected "Rank"
    register.on = Rank.LOW  # mypy: variable has type "bool"
    register.missing = 5  # mypy: has no attribute "missing"


# Records and guards


@value
class Range:
    start: u64
    end: u64


@guard
class Counted:
    n: u32

    def __enter__(self) -> "Counted":
        return self

    def __exit__(self, *_: object) -> None:
        self.n = 5


def records() -> None:
    span = Range(1, end=2)
    span.start = 5  # mypy: read-only
    Range(1)  # mypy: Missing positional argument "end"
    Held[Rank.LOW](Rank.LOW)  # mypy: Too many arguments
    with Counted(5) as counted:
        counted.n += 1


# Registries


@value
class Option:
    name: str
    apply: Callable[[str], None]


options: Final = Registry[Option]()


@options.entry(name="right")
def right(text: str) -> None: ...


@options.entry(name="other")  # mypy: cannot be "Callable[[int], None]"
def other(number: u32) -> None: ...


@options.entry(nam="wrong")  # mypy: Unexpected keyword argument "nam"
def wrong(text: str) -> None: ...


# Declared hypercalls


class Argument(Protocol):
    def load(self) -> None: ...


A = TypeVar("A", bound=Argument)


@value
class Call:
    number: u32
    sub: u32
    perform: Callable[[u64], u64]


@abi("xen/x.h", "x")
class Request(Argument):
    start: Long[u64]
    count: Aligned[u64]

    def load(self) -> None: ...


def adapter(operation: Callable[[A], u64], handle: u64) -> u64:
    request = A()
    request.load()
    request.store()  # mypy: has no attribute "store"
    return operation(request)


calls: Final = Adapted[Call](adapter)


@preemption_policy
def wanted() -> bool:
    return False


@calls(5, sub=6)
@raises
def operation(request: Request) -> u64:
    for i in preemptible(range(request.start, request.count), request):
        i.bit_count()
    for j in preemptible(request.count, request):  # mypy: expected "range"
        j.bit_count()
    return request.start


@calls(5, "six")  # mypy: incompatible type "str"
def another(request: Request) -> u64:
    small = Compat[Request]()
    widen(small, request)
    small.start = "a"  # mypy: variable has type "int"
    return size_of(Compat[Request]) if narrow(request, small) else 0


# Tuples, duties, layouts


@must_use
@value
class Duty:
    n: u32


@packed
@embedded
class Head:
    kind: u8


@union
class Word:
    whole: u64
    head: Head


class Numbered:
    def numbered(self) -> Iterator[tuple[u32, str]]:
        yield 1, "a"


def pairs(table: Numbered, word: Word, domain: "Domain") -> tuple[u32, Duty]:
    for i, name in table.numbered():
        name.startswith("a")
        i.startswith("a")  # mypy: has no attribute "startswith"
    number, duty = word.head.kind, Duty(1)
    number, _ = duty, number  # mypy: variable has type "int"
    step_extensions(domain).bit_count()
    return number, duty


# Everything else


@extensible
class Domain:
    id: u32
    lock: Embedded[Lock[Rank.LOW]]


class Vgic(Extension[Domain]):
    lines: u32


class Cpu(PerCpu):
    id: u32


class Uart(Protocol):
    def put(self, byte: u8) -> None: ...


class Silent(Uart):
    base: u64


Gfn = NewType("Gfn", u64)
current: Domain | None = None


@asm("mrs {result}, {x}")
def read(x: u64) -> u64: ...


@raises
def failing(code: u32) -> u32:
    if code == 4:
        raise Errno.EINVAL
    try:
        return failing(code)
    except Errno as e:
        if e is Errno.ENOENT:
            return u32(e.code) + u32(len(e.name))
        raise


def log(message: Message) -> None: ...


def words(domain: Domain, frame: Gfn, counter: Atomic[u32], bytes: ptr[u8]) -> Gfn:
    Vgic.of(domain).lines += Cpu.this().id + Cpu.on(3).id
    Vgic.of(5)  # mypy: expected "Domain"
    Silent()  # mypy: Cannot instantiate abstract class "Silent"
    counter.add("a")  # mypy: expected "int"
    (bytes + 1)[0] = truncate(u8, counter.load())
    log(f"{domain.id:#x}")
    current.id = 5  # mypy: has no attribute "id"
    frame = Gfn(frame + 1)
    frame = frame + 1  # mypy: variable has type "Gfn"
    return Gfn(u64(Rank.LOW) + u64(Access.R | Access.W))
