"""Hypercalls by their numbers: structures of both sizes, lists that stop half way and go on, and what is refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.comm.guest import (
    AGAIN,
    ARGUMENT,
    EFAULT,
    EINVAL,
    ENOENT,
    ENOSYS,
    EPERM,
    ETIME,
    GRANT_TABLE_OP,
    HVM_OP,
    MEMORY_OP,
    PAGE,
    PENDING,
    SELF,
    VCPU_OP,
    VM_ASSIST,
    Guest,
)  # fmt: skip
from tests.common.guests import MEMORY, Machine

XEN_VERSION, MULTICALL, SET_TIMER_OP, CONSOLE_IO = 17, 13, 15, 18
E2BIG = 7
LIST = ARGUMENT + PAGE
NOWHERE = 0x7F_0000_0000
FRAMES = 0x800  # guest frames that come and go


@pytest.fixture
def machine():
    return Machine(1).with_heap().start_scheduling()


@pytest.fixture
def guest(machine):
    return Guest(machine, 1, 1)


def test_what_nobody_declares(guest):
    for number in (*range(12), 14, 16, 19, *range(22, 24), *range(25, 29), 30, 31, 33, *range(35, 64), 2**32 - 1):
        assert guest.call(number, 0, 0, 0) == -ENOSYS, number
    for number in (MEMORY_OP, VCPU_OP, HVM_OP, GRANT_TABLE_OP):
        assert guest.call(number, 61, 0, 1) == -ENOSYS


def test_structures_where_nothing_is(guest):
    for number, sub in ((MEMORY_OP, 7), (MEMORY_OP, 6), (MEMORY_OP, 15), (HVM_OP, 1), (HVM_OP, 0)):
        assert guest.call(number, sub, NOWHERE) == -EFAULT
    assert guest.call(VCPU_OP, 10, 0, NOWHERE) == -EFAULT
    assert guest.call(VCPU_OP, 10, 7, NOWHERE) == -ENOENT
    assert guest.call(GRANT_TABLE_OP, 6, NOWHERE, 1) == -EFAULT


def test_parameters(guest):
    assert guest.call(VM_ASSIST, 0, 5) == 0
    assert guest.call(VM_ASSIST, 2, 5) == -ENOSYS
    assert guest.call(VM_ASSIST, 0, 99) == -EINVAL
    for index, wanted in ((0, 0), (1, 0), (18, 0), (5, -EPERM), (39, -EINVAL), (2**32 - 1, -EINVAL)):
        guest.put(struct.pack("<HxxIQ", SELF, index, 0))
        assert guest.call(HVM_OP, 1, ARGUMENT) == wanted, index
    guest.put(struct.pack("<HxxIQ", 2, 0, 0))
    assert guest.call(HVM_OP, 1, ARGUMENT) == -EPERM, "another domain's"


@pytest.mark.parametrize("narrow", [False, True])
def test_a_list_of_hypercalls(guest, narrow):
    """Each entry's answer stands in it; it goes on where it stopped."""
    guest.simulated(0).narrow = narrow
    layout = "<8I" if narrow else "<8Q"
    size = struct.calcsize(layout)
    entries = [(XEN_VERSION, 0), (45, 0), (MULTICALL, 0), (XEN_VERSION, 7)]
    guest.put(b"".join(struct.pack(layout, op, 99, sub, 0, 0, 0, 0, 0) for op, sub in entries), PAGE)
    assert multicall(guest, LIST, len(entries)) == 0
    answers = [struct.unpack(layout, guest.get(size, PAGE + i * size))[1] for i in range(len(entries))]
    mask = 2**32 - 1 if narrow else 2**64 - 1
    assert answers == [4 << 16 | 17, -ENOSYS & mask, -EINVAL & mask, 4096]
    assert multicall(guest, NOWHERE & 0xFFFF_FFFF if narrow else NOWHERE, 1) == -EFAULT
    assert multicall(guest, NOWHERE, 0) == 0


def multicall(guest, address, count):
    words = guest.words
    words.first, words.second = address, count
    answer = AGAIN
    while answer == AGAIN:
        answer = guest.machine.call("control.multicall.perform", guest.vcpus[0], MULTICALL, words)
    return answer


LIMIT = 24  # frames that the domain may have
PLACES = st.integers(FRAMES, FRAMES + 31)
changes = st.lists(st.tuples(st.sampled_from([1, 6]), st.lists(PLACES, max_size=12)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(changes=changes, narrow=st.booleans(), hurried=st.booleans())
def test_memory_goes_and_comes(changes: list[tuple[int, list[int]]], narrow: bool, hurried: bool) -> None:
    """Lists of frames that are given back and asked for, against a set of those that are there: each answer says how
    far the list was done, also when something else waits and the list is left behind every frame. There is never more
    than the domain may have, and what it gives back goes to the heap.
    """
    machine = Machine(1).with_heap().start_scheduling()
    guest = Guest(machine, 1, 1)
    guest.simulated(0).narrow = narrow
    memory = machine.ffi.addressof(guest.domain, "common_model_memory_DomainMemory")
    guest.domain.config.frames = LIMIT
    if hurried:
        machine.host.per_cpu(0, "hv.common.kernel.softirq.Pending").bits = 1
    there: set[int] = set()
    free = machine.heap.free_frames
    for operation, places in changes:
        guest.put(struct.pack(f"<{len(places)}{'I' if narrow else 'Q'}", *places), PAGE)
        done = 0
        for place in places:
            if operation == 1 and place in there:
                there.remove(place)
            elif operation == 6 and place not in there and len(there) < LIMIT:
                there.add(place)
            else:
                break
            done += 1
        assert reserve(guest, operation, len(places), narrow) == done
        assert memory.held == len(there)
        tables = memory.p2m.tables.used
        for place in range(FRAMES, FRAMES + 32):
            kind = machine.call(f"{MEMORY}p2m.P2m.lookup", machine.p2m(guest.domain), place).kind
            assert kind == (1 if place in there else 0)
        guest.put(struct.pack("<H", SELF))
        assert guest.call(MEMORY_OP, 3, ARGUMENT) == len(there)
        assert free - machine.heap.free_frames <= len(there) + tables


def test_how_far_a_list_was_done_is_the_guests_to_say(guest):
    """As in Xen: progress beyond the end is the answer."""
    assert reserve(guest, 63 << 6 | 1, 2, False) == 63
    assert reserve(guest, 63 << 6 | 6, 63, False) == 63


def test_extents_are_given_back_frame_by_frame_and_never_got_by_half(machine, guest):
    """However many leaves map one, and whatever else waits meanwhile: it is left behind every one of them."""
    guest.domain.config.frames = 64
    memory = machine.ffi.addressof(guest.domain, "common_model_memory_DomainMemory")

    def there() -> list[int]:
        p2m = machine.p2m(guest.domain)
        kinds = {at: machine.call(f"{MEMORY}p2m.P2m.lookup", p2m, at).kind for at in range(FRAMES, FRAMES + 32)}
        return [at - FRAMES for at, kind in kinds.items() if kind == 1]

    frames = [FRAMES + i for i in range(24)]
    guest.put(struct.pack("<24Q", *frames), PAGE)
    assert reserve(guest, 6, 24, False) == 24  # in leaves of one frame
    machine.host.per_cpu(0, "hv.common.kernel.softirq.Pending").bits = 1
    guest.put(struct.pack("<3Q", FRAMES, FRAMES + 8, FRAMES + 16), PAGE)
    calls = guest.calls
    assert reserve(guest, 1, 2, False, order=3) == 2
    assert guest.calls - calls == 16
    assert there() == list(range(16, 24)) and memory.held == 8
    guest.put(struct.pack("<Q", FRAMES + 16), PAGE)
    assert reserve(guest, 6, 1, False, order=4) == 0, "something is in the way of half of it"
    guest.put(struct.pack("<Q", FRAMES + 8), PAGE)
    assert reserve(guest, 6, 1, False, order=4) == 0
    assert there() == list(range(16, 24)) and memory.held == 8
    assert reserve(guest, 1, 1, False, order=4) == 0, "the first frame is not there"
    assert reserve(guest, 1, 1, False, order=10) == 0, "too large"
    assert reserve(guest, 1, 2**40, False, order=9) == 0


def reserve(guest: Guest, operation: int, count: int, narrow: bool, order: int = 0) -> int:
    layout = "<IIIIHxx" if narrow else "<QQIIHxxxxxx"
    guest.put(struct.pack(layout, LIST, count, order, 0, SELF))
    return guest.call(MEMORY_OP, operation, ARGUMENT)


def test_timers(machine, guest):
    """They come by VIRQ_TIMER, at their time and not before; a timer that is set anew forgets the first."""
    answer, (_, _, port) = guest.event(1, "<III", 0, 0, 0)
    assert answer == 0
    now = machine.call("hv.sim.arch.now")
    assert guest.call(SET_TIMER_OP, now + 1000) == 0
    assert guest.call(SET_TIMER_OP, now + 5000) == 0
    assert not comes(machine, guest, port, 4999)
    assert comes(machine, guest, port, 1)
    assert guest.call(SET_TIMER_OP, now + 9000) == 0 and guest.call(SET_TIMER_OP, 0) == 0
    assert not comes(machine, guest, port, 10_000), "a timer that was stopped"
    guest.put(struct.pack("<Q", 2_000_000))
    assert guest.call(VCPU_OP, 6, 0, ARGUMENT) == 0
    assert [comes(machine, guest, port, 2_000_000) for _ in range(3)] == [True] * 3
    assert comes(machine, guest, port, 7_000_000), "periods that were missed come as one"
    assert not comes(machine, guest, port, 900_000) and comes(machine, guest, port, 100_000), "and the next in its time"
    assert guest.call(VCPU_OP, 7, 0) == 0
    assert not comes(machine, guest, port, 4_000_000)
    guest.put(struct.pack("<Q", 999_999))
    assert guest.call(VCPU_OP, 6, 0, ARGUMENT) == -EINVAL, "a period below a millisecond"
    guest.put(struct.pack("<QI", 1, 1))
    assert guest.call(VCPU_OP, 8, 0, ARGUMENT) == -ETIME


def test_another_vcpus_timer(machine):
    """As in Xen: the one that expires once is set and stopped by its vCPU alone."""
    guest = Guest(machine, 1, 2)
    guest.put(struct.pack("<QI", 1 << 40, 0))
    for vcpu in range(2):
        for operation in (8, 9):
            assert guest.call(VCPU_OP, operation, 0, ARGUMENT, vcpu=vcpu) == (0 if vcpu == 0 else -EINVAL)


def test_the_last_vcpu_that_is_switched_off_ends_its_domain(machine):
    guest = Guest(machine, 1, 2)
    running, shut_down = 1, 2
    guest.domain.state = running
    for vcpu in guest.vcpus:
        machine.core("vcpu_up", vcpu, 0, 0)
    assert guest.call(VCPU_OP, 2, 1) == 0
    assert guest.domain.state == running and guest.call(VCPU_OP, 3, 1) == 0
    assert guest.call(VCPU_OP, 2, 0) == 0
    assert guest.domain.state == shut_down, "all its vCPUs are off, and none can switch another on"


def comes(machine: Machine, guest: Guest, port: int, ns: int) -> bool:
    """Whether the port is pending after so long; it is not any more then."""
    machine.advance(ns)
    machine.settle_all()
    pending = bool(guest.page(PENDING, 4)[port // 8] >> port % 8 & 1)
    guest.set_page(PENDING, bytes(4))
    return pending


def test_places_in_a_batch(machine, guest):
    """Each has its own answer; what was in the way goes, and a frame is in one place at a time."""
    places = [0x900, 0x901, 0x900, 0xF_FFFF_FFFF]
    guest.put(struct.pack("<4Q", 0, 1, 2, 3) + struct.pack("<4Q", *places), PAGE)
    guest.put(struct.pack("<HHHHQQQ", SELF, 1, 4, 0, LIST, LIST + 32, LIST + 64))
    assert guest.call(MEMORY_OP, 23, ARGUMENT) == 0
    assert struct.unpack("<4i", guest.get(16, PAGE + 64)) == (0, 0, 0, -EINVAL)
    table = guest.ffi.addressof(guest.domain, "common_comm_grant_table_GrantTable")
    assert table.count == 4
    for place, index in ((0x900, 2), (0x901, 1)):
        found = machine.call(f"{MEMORY}p2m.P2m.lookup", machine.p2m(guest.domain), place)
        assert (found.kind, found.mfn) == (4, table.frames[index])
    guest.put(struct.pack("<HHHHQQQ", SELF, 1, 2, 0, LIST, NOWHERE, LIST + 64))
    assert guest.call(MEMORY_OP, 23, ARGUMENT) == -EFAULT


def test_what_it_says_that_it_is(guest):
    """Arrays of the sizes that the interface fixes, and nothing that is the owner's business."""
    assert guest.call(XEN_VERSION, 0) == 4 << 16 | 17
    assert guest.call(XEN_VERSION, 7) == 4096
    for question, size in ((1, 16), (2, 144), (3, 1024), (4, 64), (5, 8), (8, 16), (9, 1024)):
        guest.put(b"\xaa" * 2048, PAGE)
        assert guest.call(XEN_VERSION, question, LIST) == 0
        answer = guest.get(2048, PAGE)
        assert b"\xaa" not in answer[:size] and set(answer[size:]) == {0xAA}, question
        assert guest.call(XEN_VERSION, question, NOWHERE) == -EFAULT
    assert guest.get(8, PAGE) == b"<denied>"
    assert guest.call(XEN_VERSION, 10, LIST) == -EPERM
    assert guest.call(XEN_VERSION, 11, LIST) == -ENOSYS
    guest.put(struct.pack("<II", 1, 0))
    assert guest.call(XEN_VERSION, 6, ARGUMENT) == -EINVAL


def test_what_is_typed(machine, guest):
    """It can be read once, as far as there is room."""
    assert guest.call(CONSOLE_IO, 1, 16, LIST) == 0, "nothing was typed"
    console = machine.host.variable("hv.common.kernel.console.console")
    for byte in b"hello":
        assert machine.call("kernel.console.Console.deliver", console, byte)
    assert guest.call(CONSOLE_IO, 1, 3, LIST) == 3 and guest.get(3, PAGE) == b"hel"
    assert guest.call(CONSOLE_IO, 1, 16, LIST) == 2 and guest.get(2, PAGE) == b"lo"
    assert guest.call(CONSOLE_IO, 1, 16, LIST) == 0
    assert guest.call(CONSOLE_IO, 1, 2**31, LIST) == -E2BIG
    assert guest.call(CONSOLE_IO, 2, 0, 0) == -ENOSYS
