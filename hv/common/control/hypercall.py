"""Hypercalls: one decorated function declares number, sub-operation and argument; what `call` looks in comes from all
of them.

Most hypercalls have sub-operations with one structure each, which lies in the guest's memory where the handle says. It
is read once, whole, before the operation runs; `answering` ones write it back behind it. Both are in the form that a
caller of its size has. One of these that has to stop half way raises ERESTART with its progress in the structure, and a
`listed` one with its progress in `Progress`, which the guest keeps above the operation's number. `bare` ones have no
structure. The others (`plain`) take the words of the call as they are; one that has to stop half way answers AGAIN with
its progress in the words. In each case the guest makes the call again, with interrupts taken and others' turns in
between.

What nobody declares answers ENOSYS. Numbers and structures: public/xen.h and the headers that it names.
"""

from hv.arch import elapsed, ticks
from hv.common.control.handle import read_request, write_request
from hv.common.kernel.softirq import softirqs_pending
from hv.common.kernel.time import MICROSECOND, Ticks
from hv.common.model.vcpu import Vcpu
from hv.lang import (
    Adapted,
    Callable,
    Errno,
    Extension,
    Final,
    PerCpu,
    Registry,
    TypeVar,
    array,
    i64,
    preemption_policy,
    truncate,
    u8,
    u32,
    u64,
    value,
)

A = TypeVar("A")

MEMORY_OP: Final[u32] = 12
XEN_VERSION: Final[u32] = 17
CONSOLE_IO: Final[u32] = 18
SET_TIMER_OP: Final[u32] = 15
VM_ASSIST: Final[u32] = 21
VCPU_OP: Final[u32] = 24
SCHED_OP: Final[u32] = 29
GRANT_TABLE_OP: Final[u32] = 20
EVENT_CHANNEL_OP: Final[u32] = 32
HVM_OP: Final[u32] = 34

NUMBERS: Final = 64  # of hypercalls: none is higher
SUBS: Final = 32  # of their operations
OPERATIONS: Final = 2048  # both
LIST_SHIFT: Final = 6  # public/memory.h: MEMOP_EXTENT_SHIFT of Xen's
LIST_OPERATION: Final[u32] = 63
STRETCH: Final = 30 * MICROSECOND  # that an operation on a list takes at most before it leaves, and one element more

AGAIN: Final[i64] = -85  # -ERESTART: the guest's instruction is performed once more


class Stretch(PerCpu):
    """When the operation on a list began that this CPU performs."""

    since: Ticks


def begin() -> None:
    Stretch.this().since = ticks()


@preemption_policy
def is_long_enough() -> bool:
    return softirqs_pending() or elapsed(Ticks(ticks() - Stretch.this().since)) >= STRETCH


class Words:
    """Of a call, behind its number."""

    first: u64
    second: u64
    third: u64
    fourth: u64
    fifth: u64


class Progress(Extension[Vcpu]):
    """How many elements of a list are done, of the hypercall that the vCPU makes. Of operations on lists the guest
    keeps it above the sub-operation's number between one time that it makes the call and the next.
    """

    next: u64


@value
class Hypercall:
    number: u32
    sub: u32
    perform: Callable[[Vcpu, u64], i64]


@value
class ListedHypercall:
    """Of MEMORY_OP alone."""

    number: u32
    sub: u32
    perform: Callable[[Vcpu, Words], i64]


@value
class BareHypercall:
    number: u32
    sub: u32
    perform: Callable[[Vcpu], i64]


@value
class PlainHypercall:
    number: u32
    perform: Callable[[Vcpu, Words], i64]


def perform(operation: Callable[[Vcpu, A], u64], caller: Vcpu, handle: u64) -> i64:
    request = A()
    try:
        read_request(caller, handle, request)
        return i64(operation(caller, request))
    except Errno as e:
        return -i64(e.code)


def perform_and_answer(operation: Callable[[Vcpu, A], u64], caller: Vcpu, handle: u64) -> i64:
    request = A()
    answer: i64 = AGAIN
    try:
        read_request(caller, handle, request)
    except Errno as e:
        return -i64(e.code)
    try:
        answer = i64(operation(caller, request))
    except Errno as e:
        if e is not Errno.ERESTART:
            return -i64(e.code)
    try:
        write_request(caller, handle, request)
    except Errno as e:
        return -i64(e.code)
    return answer


def perform_part(operation: Callable[[Vcpu, A], u64], caller: Vcpu, words: Words) -> i64:
    request = A()
    progress = Progress.of(caller)
    progress.next = words.first >> LIST_SHIFT
    begin()
    try:
        read_request(caller, words.second, request)
        return i64(operation(caller, request))
    except Errno as e:
        if e is not Errno.ERESTART:
            return -i64(e.code)
    words.first = words.first & u64(LIST_OPERATION) | progress.next << LIST_SHIFT
    return AGAIN


hypercall: Final = Adapted[Hypercall](perform)
answering: Final = Adapted[Hypercall](perform_and_answer)
listed: Final = Adapted[ListedHypercall](perform_part)
bare: Final = Registry[BareHypercall]()
plain: Final = Registry[PlainHypercall]()


class Directory:
    """Where each operation stands among those of its kind, so that none is looked for: one more than its place; 0:
    nowhere. Filled once, at boot.
    """

    plain: array[u8, NUMBERS]
    hypercall: array[u8, OPERATIONS]
    answering: array[u8, OPERATIONS]
    listed: array[u8, OPERATIONS]
    bare: array[u8, OPERATIONS]

    def fill(self) -> None:
        for i, one in enumerate(plain):
            self.plain[one.number] = u8(i + 1)
        for i, operation in enumerate(hypercall):
            self.hypercall[place_of(operation.number, operation.sub)] = u8(i + 1)
        for i, operation in enumerate(answering):
            self.answering[place_of(operation.number, operation.sub)] = u8(i + 1)
        for i, part in enumerate(listed):
            self.listed[place_of(part.number, part.sub)] = u8(i + 1)
        for i, simple in enumerate(bare):
            self.bare[place_of(simple.number, simple.sub)] = u8(i + 1)


directory: Final = Directory()


def place_of(number: u32, sub: u32) -> u32:
    assert number < NUMBERS and sub < SUBS, "an operation's number is too large for the directory"
    return number * SUBS + sub


def call(caller: Vcpu, number: u32, words: Words) -> i64:
    if number >= NUMBERS:
        return failed(Errno.ENOSYS)
    if directory.plain[number] != 0:
        whole = plain[directory.plain[number] - 1]
        return whole.perform(caller, words)
    sub = truncate(u32, words.first)
    if number == MEMORY_OP:
        sub &= LIST_OPERATION
    if sub >= SUBS:
        return failed(Errno.ENOSYS)
    place = number * SUBS + sub
    if directory.hypercall[place] != 0:
        operation = hypercall[directory.hypercall[place] - 1]
        return operation.perform(caller, words.second)
    if directory.answering[place] != 0:
        question = answering[directory.answering[place] - 1]
        return question.perform(caller, words.second)
    if directory.bare[place] != 0:
        simple = bare[directory.bare[place] - 1]
        return simple.perform(caller)
    if directory.listed[place] != 0:
        part = listed[directory.listed[place] - 1]
        return part.perform(caller, words)
    return failed(Errno.ENOSYS)


def failed(why: Errno) -> i64:
    return -i64(why.code)
