"""What a guest's handle leads to: guest memory by virtual address, page by page, with the caller's own rights.

Another vCPU may change map, tables and contents meanwhile: each page is looked up anew, and each byte read once.
"""

from hv.common.mm.guest_copy import copy_from_guest, copy_to_guest, page_rest
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import Vcpu, architecture
from hv.lang import Compat, Errno, Final, TypeVar, address_of, i32, narrow, raises, size_of, u64, unbounded, widen

A = TypeVar("A")

LOW: Final[u64] = 0xFFFF_FFFF


@raises
@unbounded("each step goes on to the next page")
def read_guest(caller: Vcpu, address: u64, to: u64, length: u64) -> None:
    """To mapped memory at `to`. EFAULT: the caller cannot read all of it; what lies before has been copied."""
    done: u64 = 0
    while done < length:
        count = min(length - done, page_rest(address + done))
        at = architecture.vcpus.translate(caller, address + done, False)
        copy_from_guest(DomainMemory.of(caller.domain).p2m, at, to + done, count)
        done += count


@raises
@unbounded("each step goes on to the next page")
def write_guest(caller: Vcpu, address: u64, source: u64, length: u64) -> None:
    """From mapped memory at `source`. EFAULT: the caller cannot write all of it; what lies before has been written."""
    done: u64 = 0
    while done < length:
        count = min(length - done, page_rest(address + done))
        at = architecture.vcpus.translate(caller, address + done, True)
        copy_to_guest(DomainMemory.of(caller.domain).p2m, at, source + done, count)
        done += count


class Status:
    value: i32


class Longs:
    wide: u64  # the narrow one is its lower half


@raises
def read_long(caller: Vcpu, address: u64, index: u64) -> u64:
    """The element of an array of the caller's longs. EFAULT."""
    longs = Longs()
    if architecture.vcpus.is_narrow(caller):
        read_guest(caller, address + index * 4 & LOW, address_of(longs), 4)
        return longs.wide
    read_guest(caller, address + index * 8, address_of(longs), 8)
    return longs.wide


@raises
def write_long(caller: Vcpu, address: u64, index: u64, value: u64) -> None:
    """EFAULT. EOVERFLOW: the caller's longs are too short for it."""
    longs = Longs()
    longs.wide = value
    if architecture.vcpus.is_narrow(caller):
        if value > LOW:
            raise Errno.EOVERFLOW
        write_guest(caller, address + index * 4 & LOW, address_of(longs), 4)
        return
    write_guest(caller, address + index * 8, address_of(longs), 8)


@raises
def read_request(caller: Vcpu, handle: u64, request: A) -> None:
    """A structure, in the form that the caller has it. EFAULT."""
    if architecture.vcpus.is_narrow(caller):
        small = Compat[A]()
        read_guest(caller, handle & LOW, address_of(small), size_of(Compat[A]))
        widen(small, request)
        return
    read_guest(caller, handle, address_of(request), size_of(A))


@raises
def write_request(caller: Vcpu, handle: u64, request: A) -> None:
    """EFAULT. EOVERFLOW: a value does not fit the caller's form."""
    if architecture.vcpus.is_narrow(caller):
        small = Compat[A]()
        if not narrow(request, small):
            raise Errno.EOVERFLOW
        write_guest(caller, handle & LOW, address_of(small), size_of(Compat[A]))
        return
    write_guest(caller, handle, address_of(request), size_of(A))


@raises
def write_status(caller: Vcpu, address: u64, index: u64, status: i32) -> None:
    """An element of an array of ints. EFAULT."""
    made = Status()
    made.value = status
    at = address + index * 4
    write_guest(caller, at & LOW if architecture.vcpus.is_narrow(caller) else at, address_of(made), 4)
