"""Pools: objects do not overlap, are clear, go back to the heap, and debug builds notice misuse."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.common.mm.simulated import ENOMEM, Machine, death_of

FRAMES = 64


class Pool:
    def __init__(self, name, machine):
        self.name, self.machine = name, machine
        self.pool = machine.library.variable(f"hv.sim.fixtures.{name.lower()}")
        self.bytes = machine.ffi.sizeof(f"sim_fixtures_{name}")

    def call(self, method, *arguments):
        return self.machine.errno_or(self.machine.mm, f"pool.Pool[{self.name}].{method}", self.pool, *arguments)

    def allocate(self):
        return self.call("allocate")

    def free(self, thing):
        assert self.call("free", thing) == (0, None)

    def content(self, thing):
        return self.machine.ffi.buffer(thing, self.bytes)

    def address(self, thing):
        return int(self.machine.ffi.cast("uintptr_t", thing))


class PoolAgainstModel(RuleBasedStateMachine):
    @initialize()
    def power_on(self):
        self.machine = Machine().with_heap(FRAMES)
        self.pools = {name: Pool(name, self.machine) for name in ("Small", "Large")}
        self.objects = {name: {} for name in self.pools}
        self.marks = 0

    @rule(name=st.sampled_from(["Small", "Small", "Large"]), count=st.sampled_from([1, 1, 3, 90]))
    def allocate(self, name, count):
        pool = self.pools[name]
        for _ in range(count):
            error, thing = pool.allocate()
            if error:
                assert error == ENOMEM
                return
            assert pool.address(thing) % 16 == 0
            assert not any(bytes(pool.content(thing)))
            self.marks += 1
            pool.content(thing)[:] = self.marks.to_bytes(4, "little") * (pool.bytes // 4)
            self.objects[name][pool.address(thing)] = (thing, self.marks)

    @precondition(lambda self: any(self.objects.values()))
    @rule(data=st.data(), count=st.sampled_from([1, 1, 5, 100]))
    def free(self, data, count):
        name = data.draw(st.sampled_from(sorted(n for n in self.objects if self.objects[n])))
        for _ in range(min(count, len(self.objects[name]))):
            address = data.draw(st.sampled_from(sorted(self.objects[name]))) if count == 1 else min(self.objects[name])
            thing, _ = self.objects[name].pop(address)
            self.pools[name].free(thing)

    @invariant()
    def nobody_wrote_to_anybody_elses(self):
        if not hasattr(self, "machine"):
            return
        for name, pool in self.pools.items():
            assert pool.pool.used == len(self.objects[name])
            for thing, mark in self.objects[name].values():
                assert bytes(pool.content(thing)) == mark.to_bytes(4, "little") * (pool.bytes // 4)

    def teardown(self):
        """Every slab goes back."""
        if not hasattr(self, "machine"):
            return
        for name, pool in self.pools.items():
            for thing, _ in self.objects[name].values():
                pool.free(thing)
        assert self.machine.heap.free_frames == FRAMES


TestPool = PoolAgainstModel.TestCase
TestPool.settings = settings(deadline=None, stateful_step_count=30, max_examples=50)


@pytest.fixture
def small():
    return Pool("Small", Machine().with_heap(FRAMES))


def test_objects_fill_a_slab(small):
    objects = [small.allocate()[1] for _ in range((4096 - 64) // 32)]
    assert small.machine.heap.free_frames == FRAMES - 1
    small.allocate()
    assert small.machine.heap.free_frames == FRAMES - 2
    assert len({small.address(o) for o in objects}) == len(objects)


def test_large_objects_have_slabs_of_several_frames():
    large = Pool("Large", Machine().with_heap(FRAMES))
    _, thing = large.allocate()
    assert large.machine.heap.free_frames == FRAMES - 4
    large.free(thing)
    assert large.machine.heap.free_frames == FRAMES


@pytest.mark.parametrize("neighbour", [False, True])
def test_an_object_freed_twice_is_a_panic(small, neighbour):
    _, thing = small.allocate()
    if neighbour:
        small.allocate()
        small.free(thing)
        assert death_of(lambda: small.free(thing)).panicked
    else:
        assert death_of(lambda: (small.free(thing), small.free(thing))).panicked


def test_an_object_written_to_behind_its_end_is_a_panic(small):
    small.allocate()
    _, thing = small.allocate()
    small.free(thing)
    thing.more[3] = 7
    assert death_of(small.allocate).panicked
