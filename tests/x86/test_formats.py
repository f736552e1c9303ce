"""The formats of x86's translation tables: what is mapped, unmapped and protected, a walk by the manual finds."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common.mm.simulated import EEXIST, EINVAL, Machine
from tests.common.mm.tables import PLENTY, Map, R, Segment, W, X, attributes
from tests.x86.walk import walk

LIMIT = 1 << 36


@dataclass(frozen=True)
class Kind:
    variable: str
    shown: str
    walker: str
    accesses: tuple[int, ...]
    user: bool


LONG_MODE = Kind("long_mode", "LongMode, HypervisorWalker", "HypervisorWalker", (R, R | W, R | X), False)
NESTED = Kind("nested", "Npt, GuestWalker", "GuestWalker", (R, R | W, R | X, R | W | X), True)
KINDS = pytest.mark.parametrize("kind", [LONG_MODE, NESTED], ids=lambda k: k.variable)


class Tables:
    def __init__(self, kind: Kind, large_1g: bool) -> None:
        self.kind, self.large_1g = kind, large_1g
        self.machine = Machine().with_heap()
        self.machine.library.variable("hv.x86.cpuid.features").pages_1g = large_1g
        self.source = self.machine.library.variable("hv.sim.fixtures.tables")
        self.source.left = PLENTY
        self.table = self.machine.library.variable(f"hv.sim.x86_tables.{kind.variable}")
        self.machine.call(f"hv.sim.x86_tables.init_{kind.variable}", 3)

    def call(self, name: str, *arguments: object) -> object:
        return self.machine.mm(f"pagetable.PageTable[{self.kind.shown}].{name}", self.table, *arguments)

    def all_of(self, name: str, at: int, frames: int, *arguments: int) -> int:
        """Repeats an operation run by run. Returns an errno."""
        done = 0
        while done < frames:
            given = (
                (arguments[0] + done, frames - done, *arguments[1:]) if name == "map" else (frames - done, *arguments)
            )
            error, token = self.machine.errno_or(self.call, name, at + done, *given)
            if error:
                return error
            done += token.done
            held = self.machine.ffi.new(f"common_mm_flush_Flush_common_mm_walkers_{self.kind.walker} *", token)
            self.machine.mm(f"flush.Flush[{self.kind.walker}].flush", held)
        return 0

    def walked(self, at: int):
        return walk(self.machine, self.table.root, at, large_1g=self.large_1g, user=self.kind.user)

    def agrees(self, model: Map) -> None:
        """At every edge of what is mapped: the engine's answer, and the walk's, are the model's."""
        for at in sorted(e for e in model.edges() | {0, LIMIT - 1} if e < LIMIT):
            expected, found, said = model.at(at), self.walked(at), self.call("lookup", at)
            if expected is None:
                assert found is None and not said.present, f"{at:#x}"
                continue
            wanted = (expected.mfn + at - expected.start, expected.access, expected.memory)
            assert found is not None, f"{at:#x} is not mapped"
            assert (found.mfn, found.access, found.memory) == wanted, f"{at:#x}"
            assert (said.mfn, said.attributes & 7, said.attributes >> 4 & 3) == wanted, f"{at:#x}"
            assert said.attributes >> 8 & 15 == expected.kind
            assert found.everywhere == (self.kind is LONG_MODE), "the hypervisor's pages are global, guests' are not"


spots = st.sampled_from(
    [0, 512 - 3, 512, 1 << 18, (1 << 18) - 700, (1 << 27) - 512, LIMIT - (1 << 18) - 9]
) | st.integers(0, LIMIT - (1 << 19))
sizes = st.sampled_from([1, 3, 511, 512, 513, 1024, 1 << 18, (1 << 18) + 512]) | st.integers(1, 2000)
frames = st.sampled_from([0x100, 512 * 7, 1 << 18, (1 << 18) * 3, (1 << 28) + 512]) | st.integers(1, 1 << 30)


@KINDS
@given(data=st.data(), large_1g=st.booleans())
def test_what_is_done_is_what_the_cpu_walks(kind, data, large_1g):
    """What reaches beyond the tables' end is refused, and changes nothing."""
    tables, model = Tables(kind, large_1g), Map()
    for _ in range(data.draw(st.integers(1, 5))):
        at, count = data.draw(spots), data.draw(sizes)
        error = EINVAL if at + count > LIMIT else 0
        match data.draw(st.sampled_from(["map", "map", "map", "unmap", "protect"])):
            case "map":
                access, memory = data.draw(st.sampled_from(kind.accesses)), data.draw(st.sampled_from([0, 1, 2]))
                mfn, owner = data.draw(frames), data.draw(st.integers(0, 15))
                if model.within(at, at + count):
                    continue
                assert tables.all_of("map", at, count, mfn, attributes(access, memory, owner)) == error
                if not error:
                    model.map(Segment(at, at + count, mfn, access, memory, owner))
            case "unmap":
                assert tables.all_of("unmap", at, count) == error
                if not error:
                    model.unmap(at, at + count)
            case "protect":
                access = data.draw(st.sampled_from(kind.accesses))
                assert tables.all_of("protect", at, count, access) == error
                if not error:
                    model.protect(at, at + count, access)
        tables.agrees(model)


@KINDS
@pytest.mark.parametrize(("large_1g", "height"), [(True, 2), (False, 1)])
def test_blocks_are_as_large_as_the_cpu_has_them(kind, large_1g, height):
    tables = Tables(kind, large_1g)
    assert not tables.all_of("map", 1 << 18, 1 << 18, 1 << 19, attributes(R | W, 0, 0))
    assert tables.walked((1 << 18) + 77).height == height
    assert tables.all_of("map", (1 << 18) + 5, 1, 1, attributes(R, 0, 0)) == EEXIST


@KINDS
@pytest.mark.parametrize("memory", [0, 1, 2])
def test_blocks_and_pages_name_the_memory_type_alike(kind, memory):
    """Its PAT bit stands elsewhere in a block, where a page has its address."""
    tables = Tables(kind, True)
    assert not tables.all_of("map", 1 << 18, 1 << 18, 1 << 19, attributes(R | W, memory, 5))
    for height in (1, 0):
        tables.call("split", 1 << 18, height)
        found = tables.walked((1 << 18) + 513)
        assert (found.mfn, found.memory) == ((1 << 19) + 513, memory)
    assert tables.walked(1 << 18).height == 0
