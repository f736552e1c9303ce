"""Hypercalls: one decorated function declares number, sub-operation and argument; what `call` looks in comes from all
of them.

Most hypercalls have sub-operations with one structure each, which lies in the guest's memory where the handle says. It
is read once, whole, before the operation runs; `answering` ones write it back behind it. One of these that has to stop
half way raises ERESTART with its progress in the structure. `bare` ones have no structure. The others (`plain`) take
the words of the call as they are; one that has to stop half way answers AGAIN with its progress in the words. Either
way the guest makes the call again, with interrupts taken and others' turns in between.

What nobody declares answers ENOSYS. Numbers and structures: public/xen.h and the headers that it names.
"""

from hv.common.control.handle import read_guest, write_guest
from hv.common.model.vcpu import Vcpu
from hv.lang import (
    Adapted,
    Callable,
    Errno,
    Final,
    Registry,
    TypeVar,
    address_of,
    i64,
    size_of,
    truncate,
    u32,
    u64,
    value,
)

A = TypeVar("A")

MEMORY_OP: Final[u32] = 12
XEN_VERSION: Final[u32] = 17
CONSOLE_IO: Final[u32] = 18
VM_ASSIST: Final[u32] = 21
VCPU_OP: Final[u32] = 24
SCHED_OP: Final[u32] = 29
EVENT_CHANNEL_OP: Final[u32] = 32
HVM_OP: Final[u32] = 34

AGAIN: Final[i64] = -85  # -ERESTART: the guest's instruction is performed once more


class Words:
    """Of a call, behind its number."""

    first: u64
    second: u64
    third: u64
    fourth: u64
    fifth: u64


@value
class Hypercall:
    number: u32
    sub: u32
    perform: Callable[[Vcpu, u64], i64]


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
        read_guest(caller, handle, address_of(request), size_of(A))
        return i64(operation(caller, request))
    except Errno as e:
        return -i64(e.code)


def perform_and_answer(operation: Callable[[Vcpu, A], u64], caller: Vcpu, handle: u64) -> i64:
    request = A()
    answer: i64 = AGAIN
    try:
        read_guest(caller, handle, address_of(request), size_of(A))
    except Errno as e:
        return -i64(e.code)
    try:
        answer = i64(operation(caller, request))
    except Errno as e:
        if e is not Errno.ERESTART:
            return -i64(e.code)
    try:
        write_guest(caller, handle, address_of(request), size_of(A))
    except Errno as e:
        return -i64(e.code)
    return answer


hypercall: Final = Adapted[Hypercall](perform)
answering: Final = Adapted[Hypercall](perform_and_answer)
bare: Final = Registry[BareHypercall]()
plain: Final = Registry[PlainHypercall]()


def call(caller: Vcpu, number: u32, words: Words) -> i64:
    for entry in plain:
        if entry.number == number:
            return entry.perform(caller, words)
    sub = truncate(u32, words.first)
    for operation in hypercall:
        if operation.number == number and operation.sub == sub:
            return operation.perform(caller, words.second)
    for operation in answering:
        if operation.number == number and operation.sub == sub:
            return operation.perform(caller, words.second)
    for simple in bare:
        if simple.number == number and simple.sub == sub:
            return simple.perform(caller)
    return failed(Errno.ENOSYS)


def failed(why: Errno) -> i64:
    return -i64(why.code)
