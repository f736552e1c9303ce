"""Bitmap, ring and ordered queue against what Python has for the purpose."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.common.host import LIB, SAMPLES, ending, host

SIZE = 128
BITMAP = f"{LIB}bitmap.Bitmap[2]."
RING = f"{LIB}ring.Ring[u32, 8]."
QUEUE = f"{LIB}ordered.OrderedQueue[Item]."
MEMBERS = st.sets(st.integers(0, SIZE - 1))
EDGES = st.sampled_from([{0}, {63}, {64}, {127}, set(), set(range(SIZE)), set(range(64)), set(range(64, SIZE))])


def bitmap(members):
    bits = host().ffi.new("common_lib_bitmap_Bitmap_2 *")
    for number in members:
        host().call(f"{BITMAP}set", bits, number)
    return bits


def members(bits):
    return {i for i in range(SIZE) if bits.words[i // 64] >> i % 64 & 1}


@given(MEMBERS | EDGES, st.integers(0, SIZE + 1))
def test_bitmap_answers_like_a_set(numbers, start):
    bits = bitmap(numbers)
    assert members(bits) == numbers
    assert host().call(f"{BITMAP}size", bits) == SIZE
    assert host().call(f"{BITMAP}count", bits) == len(numbers)
    assert bool(host().call(f"{BITMAP}is_empty", bits)) == (not numbers)
    assert [i for i in range(SIZE) if host().call(f"{BITMAP}test", bits, i)] == sorted(numbers)
    above = range(start, SIZE)
    assert host().call(f"{BITMAP}first_set", bits, start) == min((i for i in above if i in numbers), default=SIZE)
    assert host().call(f"{BITMAP}first_clear", bits, start) == min((i for i in above if i not in numbers), default=SIZE)


@given(MEMBERS, MEMBERS, st.integers(0, SIZE), st.integers(0, SIZE))
def test_bitmap_changes_like_a_set(ours, others, start, stop):
    a, b = bitmap(ours), bitmap(others)
    host().call(f"{BITMAP}add_all", a, b)
    assert members(a) == ours | others
    host().call(f"{BITMAP}keep_all", a, b)
    assert members(a) == (ours | others) & others
    host().call(f"{BITMAP}copy_from", a, b)
    host().call(f"{BITMAP}set_range", a, start, stop)
    assert members(a) == others | set(range(start, stop))
    for number in list(members(a))[::2]:
        host().call(f"{BITMAP}clear", a, number)
        assert not host().call(f"{BITMAP}test", a, number)
    host().call(f"{BITMAP}clear_all", a)
    assert members(a) == set()


@given(MEMBERS)
def test_bitmap_iterates_in_order_while_the_member_at_hand_is_cleared(numbers):
    containers = host().cleared(f"{SAMPLES}containers")
    for number in numbers:
        host().call(f"{BITMAP}set", host().ffi.addressof(containers, "bits"), number)
    expected = 0
    for number in sorted(numbers):
        expected = (expected * 131 + number + 1) & (1 << 64) - 1
    assert host().call(f"{SAMPLES}sum_of_members") == expected
    assert list(containers.bits.words) == [0, 0]


@pytest.mark.parametrize("function", ["set", "clear", "test"])
def test_bitmap_refuses_a_number_beyond_its_end(function):
    status, _ = ending(lambda: host().call(f"{BITMAP}{function}", bitmap(()), SIZE))
    assert status != 0


class RingAgainstDeque(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.ring = host().ffi.new("common_lib_ring_Ring_u32_8 *")
        # The indices run freely: they pass the end of their width after three items.
        self.ring.taken = self.ring.added = 0xFFFF_FFFD
        self.model = deque()

    @rule(item=st.integers(0, 2**32 - 1))
    def put(self, item):
        taken = bool(host().call(f"{RING}put", self.ring, item))
        assert taken == (len(self.model) < 8)
        if taken:
            self.model.append(item)

    @precondition(lambda self: self.model)
    @rule()
    def get(self):
        assert host().call(f"{RING}get", self.ring) == self.model.popleft()

    @rule()
    def clear(self):
        host().call(f"{RING}clear", self.ring)
        self.model.clear()

    def teardown(self):
        assert host().call(f"{RING}__len__", self.ring) == len(self.model)
        assert bool(host().call(f"{RING}empty", self.ring)) == (not self.model)
        assert bool(host().call(f"{RING}full", self.ring)) == (len(self.model) == 8)


TestRing = RingAgainstDeque.TestCase


def test_nothing_is_taken_from_an_empty_ring():
    ring = host().ffi.new("common_lib_ring_Ring_u32_8 *")
    status, _ = ending(lambda: host().call(f"{RING}get", ring))
    assert status != 0


class QueueAgainstList(RuleBasedStateMachine):
    """The model is a list of (key, number), kept by inserting behind the last key that is not greater."""

    def __init__(self):
        super().__init__()
        host().cleared(f"{SAMPLES}items")
        self.model = []

    def absent(self):
        return [i for i in range(16) if i not in [number for _, number in self.model]]

    @precondition(lambda self: self.absent())
    @rule(data=st.data(), key=st.integers(-3, 3) | st.integers(-(2**63), 2**63 - 1))
    def insert(self, data, key):
        number = data.draw(st.sampled_from(self.absent()))
        host().call(f"{SAMPLES}insert_item", number, key)
        place = next((i for i, (other, _) in enumerate(self.model) if other > key), len(self.model))
        self.model.insert(place, (key, number))

    @precondition(lambda self: self.absent())
    @rule(data=st.data())
    def append(self, data):
        number = data.draw(st.sampled_from(self.absent()))
        host().call(f"{SAMPLES}append_item", number)
        self.model.append((self.model[-1][0] if self.model else 0, number))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data):
        entry = data.draw(st.sampled_from(self.model))
        host().call(f"{SAMPLES}remove_item", entry[1])
        self.model.remove(entry)

    @rule()
    def pop(self):
        expected = self.model.pop(0)[1] if self.model else 16
        assert host().call(f"{SAMPLES}pop_item") == expected

    @rule()
    def look(self):
        found = [host().call(f"{SAMPLES}item_at", i) for i in range(len(self.model) + 1)]
        assert found == [number for _, number in self.model] + [16]
        assert host().variable(f"{SAMPLES}items").queue.length == len(self.model)


TestQueue = QueueAgainstList.TestCase


def test_an_object_is_on_a_queue_once():
    def twice():
        host().cleared(f"{SAMPLES}items")
        host().call(f"{SAMPLES}insert_item", 1, 5)
        host().call(f"{SAMPLES}insert_item", 1, 6)

    assert ending(twice)[0] != 0


def test_an_object_that_is_on_no_queue_is_not_removed():
    def never():
        host().cleared(f"{SAMPLES}items")
        host().call(f"{SAMPLES}remove_item", 1)

    assert ending(never)[0] != 0
