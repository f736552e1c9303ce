"""TLBs of several CPUs: what one CPU changes no other goes on using, and a flush that does not reach it is found.

A guest's tables are flushed by one instruction on Arm; on x86 each CPU forgets for itself, and the hypervisor's own
shoot-down (hv/x86/tlb.py) runs here between CPUs that take turns.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.cpus import in_turns, team
from tests.common.host import host
from tests.common.mm.physmap import PhysMap
from tests.common.mm.simulated import BASE, Machine
from tests.common.mm.spaces import ARM, LONELY, PC, Space, SpaceKind
from tests.common.mm.tables import KINDS, NORMAL, R, Tables, W, attributes
from tests.common.walkers import ABSENT, DENIED, OK, READ, WRITE

RAM = attributes(R | W, NORMAL, 1)
M2 = 512
CPUS = 4
PER_CPU = (
    "hv.common.kernel.cpus.Cpu",
    "hv.common.kernel.spinlock.HeldRanks",
    "hv.sim.machine.SimulatedCpu",
    "hv.x86.tlb.Asked",
    "hv.x86.tlb.Shootdown",
)


def changes(tables, cpus):
    """One of each change, flushed, with what every CPU then makes of it. Returns what was found wrong."""
    wrong = []

    def expect(at, wanted, fault, mfn=None):
        for cpu in range(cpus):
            found = tables.access(at, wanted, cpu)
            if found.fault != fault or (mfn is not None and found.mfn != mfn):
                wrong.append(f"CPU {cpu} at {at:#x}: fault {found.fault}, frame {found.mfn:#x}")

    tables.all_of("map", 0, 2 * M2, 0x1000000, RAM)
    expect(5, WRITE, OK, 0x1000005)
    tables.all_of("protect", 5, 1, R)
    expect(5, WRITE, DENIED)
    expect(6, WRITE, OK, 0x1000006)
    tables.all_of("unmap", M2, M2)
    expect(M2 + 1, READ, ABSENT)
    tables.all_of("map", M2, 1, 0x2000000, RAM)
    expect(M2, READ, OK, 0x2000000)
    tables.all_of("unmap", 0, M2)
    expect(5, READ, ABSENT)
    if tables.owed():
        wrong.append("something is owed")
    return wrong


@pytest.mark.parametrize("kind", ["guest", "hypervisor", "nested"])
def test_a_flush_reaches_every_cpu(kind):
    tables = Tables(KINDS[kind])
    tables.walkers.call("walk_on", tables.space, 0b1111)
    assert changes(tables, CPUS) == [] and not tables.walkers.violation()


@pytest.mark.parametrize("kind", ["guest", "hypervisor", "nested"])
@pytest.mark.parametrize("part", ["invalidate", "remote"])
def test_a_flush_that_is_left_out_is_found(kind, part):
    """Without any; and with one that reaches only the CPU that asks for it."""
    tables = Tables(KINDS[kind])
    tables.walkers.rules.needs_break = False  # else the change is found before anybody uses it
    tables.walkers.call("walk_on", tables.space, 0b1111)
    tables.walkers.drop(part)
    wrong = changes(tables, CPUS)
    assert tables.walkers.violation().startswith("stale translation used")
    assert any(line.startswith("CPU 0") for line in wrong) == (part == "invalidate")
    assert any(line.startswith("CPU 3") for line in wrong) and "something is owed" in wrong


@pytest.mark.parametrize("part", [None, "invalidate", "remote"])
def test_a_frame_that_leaves_a_guest_is_reached_by_no_cpu(part):
    """The physical map of a domain whose vCPU has run on CPUs 0 and 1."""
    physmap = PhysMap()
    walkers = physmap.machine.walkers
    walkers.call("walk_on", physmap.space, 0b11)
    physmap.call("populate", 7, 1)
    _, mfn, _ = physmap.lookup(7)
    if part:
        walkers.drop(part)
    physmap.change("remove", 7, 1)
    found = [walkers.call("access", cpu, physmap.space, 7, READ).fault for cpu in (0, 1)]
    assert found == {None: [ABSENT, ABSENT], "invalidate": [OK, OK], "remote": [ABSENT, OK]}[part]
    assert walkers.may_reach(mfn) == bool(part)
    assert walkers.violation() == ("stale translation used at 0x7" if part else "")


def pc(kind: str, asked: int = CPUS) -> Tables:
    """Tables of the hypervisor on a PC whose CPUs all walk them; the first `asked` of them take part in shoot-downs."""
    tables = Tables(KINDS[kind], Machine().with_heap())
    tables.walkers.call("walk_on", tables.space, (1 << CPUS) - 1)
    start_pc(asked)
    return tables


def start_pc(asked: int) -> None:
    """The machine's CPUs are a PC's, of which the first `asked` take part in shoot-downs."""
    for name in PER_CPU:
        host().cleared_per_cpu(name)
    host().call("hv.sim.x86_cpu.be_pc")
    host().variable("hv.sim.machine.machine").kick_handler = host().function("hv.sim.x86_cpu.interrupted")
    for cpu in range(asked):
        host().enter(cpu)
        host().call("hv.sim.x86_cpu.start_cpu")
    host().enter(0)


def test_a_machine_that_is_powered_on_asks_no_cpu_of_the_one_before():
    """Which would never answer."""
    pc("long_mode")
    Machine()
    assert [host().per_cpu(cpu, "hv.x86.tlb.Asked").active for cpu in range(CPUS)] == [0] * CPUS


def change_in_turns(tables: Tables, seed: int) -> list[str]:
    """CPU 0 changes the tables; the others look at them now and then, and answer while they wait."""
    wrong: list[str] = []
    in_turns(seed, *team(lambda: wrong.extend(changes(tables, CPUS)), *[lambda: None] * (CPUS - 1)))
    return wrong


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_hypervisors_shoot_down_reaches_every_cpu(seed):
    tables = pc("long_mode")
    assert change_in_turns(tables, seed) == [] and not tables.walkers.violation()


def test_a_cpu_that_is_not_asked_is_found():
    tables = pc("long_mode", asked=CPUS - 1)
    wrong = change_in_turns(tables, 1)
    assert tables.walkers.violation().startswith("stale translation used")
    assert {line[:5] for line in wrong} == {"CPU 3", "somet"}


def test_a_shoot_down_that_asks_nobody_is_found():
    """Tables whose walker forgets on its own CPU alone."""
    tables = pc("lonely")
    wrong = change_in_turns(tables, 1)
    assert tables.walkers.violation().startswith("stale translation used")
    assert {line[:5] for line in wrong} == {"CPU 1", "CPU 2", "CPU 3", "somet"}


SHAPES = (1, 40, M2 + 3)  # pages: flushed one by one, and all at once; the last has a block


def windows(space: Space, cpus: int) -> list[str]:
    """Windows that come, go, and come with other memory at the same addresses. What any CPU finds wrong there."""
    wrong = []
    for pages in SHAPES:
        for page in {0, pages // 2, pages - 1}:
            address = space.mapped(0x100_0000_0000, pages * 4096)
            at = space.page(address) + page
            wrong += [f"CPU {c} sees nothing" for c in range(cpus) if space.access(at, WRITE, c).fault != OK]
            space.unmap(address)
            wrong += [f"CPU {c} sees what was" for c in range(cpus) if space.access(at, READ, c).fault != ABSENT]
            again = space.mapped(0x200_0000_0000, pages * 4096)
            due = 0x20000000 + page
            assert again == address
            wrong += [f"CPU {c} sees what was" for c in range(cpus) if space.access(at, READ, c).mfn != due]
            space.unmap(again)
    return wrong + space.troubles()


def arm_or_pc(kind: SpaceKind, cpus: int = CPUS, asked: int = CPUS) -> Space:
    space = Space(kind, cpus)
    if kind is not ARM:
        start_pc(asked)
    return space


@settings(max_examples=8)
@given(kind=st.sampled_from([ARM, PC]), seed=st.integers(0, 2**32 - 1))
def test_nobody_sees_a_window_that_has_gone(kind, seed):
    space = arm_or_pc(kind)
    wrong: list[str] = []
    in_turns(seed, *team(lambda: wrong.extend(windows(space, CPUS)), *[lambda: None] * (CPUS - 1)))
    assert wrong == []


@pytest.mark.parametrize(("kind", "asked", "blind"), [(ARM, CPUS, "123"), (PC, CPUS - 1, "3"), (LONELY, CPUS, "123")])
def test_a_window_that_a_cpu_has_not_forgotten_is_found(kind, asked, blind):
    """A TLBI that is not broadcast; a CPU that is not asked; and none that is."""
    space = arm_or_pc(kind, asked=asked)
    if kind is ARM:
        space.walkers.rules.needs_break = False  # else the change is found before anybody uses it
        space.walkers.drop("remote")
    wrong: list[str] = []
    in_turns(1, *team(lambda: wrong.extend(windows(space, CPUS)), *[lambda: None] * (CPUS - 1)))
    assert {line[4] for line in wrong if line.endswith("sees what was")} == set(blind)
    assert space.walkers.violation().startswith("reused")  # first of all a table, free while some CPU may walk it


@settings(max_examples=25)
@given(kind=st.sampled_from([ARM, PC]), seed=st.integers(0, 2**32 - 1), cpus=st.integers(2, CPUS))
def test_cpus_that_map_and_unmap_at_once_all_end(kind, seed, cpus):
    """They wait for the lock, and for each other to forget. Nobody's window is another's, and all comes back."""
    space = arm_or_pc(kind, cpus, cpus)
    held: dict[int, int] = {}

    def body(cpu):
        def maps_and_unmaps():
            for i, pages in enumerate((1, 40, 300, 3)):
                frame = (cpu * 8 + i) * M2 + (1 << 24)
                address = space.mapped(frame << 12, pages * 4096)
                for other in (p for c, p in held.items() if c != cpu):
                    assert other != space.page(address)
                held[cpu] = space.page(address)
                assert space.access(held[cpu] + pages - 1, WRITE, cpu).mfn == frame + pages - 1
                del held[cpu]
                space.unmap(address)

        return maps_and_unmaps

    in_turns(seed, *team(*[body(cpu) for cpu in range(cpus)]))
    assert space.troubles() == [] and space.space.windows.count == 0
    assert space.tables.used == 1 + space.space.tables.spare_count


@given(seed=st.integers(0, 2**32 - 1), cpus=st.integers(2, 6))
def test_cpus_that_ask_each_other_at_once_all_end(seed, cpus):
    """Each page that one of them flushes, all have forgotten."""
    pc("long_mode", cpus)
    forgotten = host().variable("hv.sim.tlb.tlbs")

    def asks(cpu):
        def body():
            for i in range(5):
                host().call("hv.sim.arch.flush_hypervisor", (cpu * 8 + i) << 12, 1, 0)

        return body

    before = forgotten.invalidations
    in_turns(seed, *team(*[asks(cpu) for cpu in range(cpus)]))
    assert forgotten.invalidations - before == cpus * 5 * cpus


def test_addresses_of_the_upper_half_are_the_same_pages():
    """A frame number leaves out the sign, which INVLPG's operand has."""
    tables = pc("long_mode", 1)
    tables.walkers.call("walk_on", tables.space, 1)
    tables.all_of("map", (1 << 36) - 1, 1, BASE + 9, RAM)
    assert tables.access((1 << 36) - 1, READ).mfn == BASE + 9
    tables.all_of("unmap", (1 << 36) - 1, 1)
    assert tables.access((1 << 36) - 1, READ).fault == ABSENT and not tables.walkers.violation()
