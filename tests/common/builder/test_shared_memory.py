"""Memory that domains share: where each has it, what their trees say, how it outlives domains, and what is refused."""

import libfdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.builder.test_static_memory import (
    BANK,
    KERNEL,
    MIB,
    OWNED,
    PLACE,
    behind,
    boot,
    cleared,
    end,
    frames_of,
    free_frames,
    plain,
    ranges,
    states,
    static,
)
from tests.common.guests import (
    BUILDER,
    MODULES,
    POWER_OFF,
    REBOOT,
    UP,
    VCPUS,
    Node,
    domain_node,
    module,
    strings,
    u64,
)

HYPERVISOR = 0x7FF1
SHARED = PLACE + 0x180_0000
TO = 0x8000_0000
FOREIGN = 5
ACCESS_RW = 3


def share(name, *numbers, id="stream", role=None, **more):
    """Of the machine's address, which may be missing, the guest's, and bytes."""
    properties = {
        "compatible": strings("xen,domain-shared-memory-v1"),
        "xen,shm-id": strings(id),
        "xen,shared-mem": b"".join(u64(x) for x in numbers),
        **more,
    }
    if role:
        properties["role"] = strings(role)
    return Node(name, properties)


def sharing(name, *shares, memory=4096):
    return domain_node(name, [module("kernel", MODULES, len(KERNEL)), *shares], memory)


def tree_of(machine, id):
    """As the guest finds it."""
    domain = machine.domain(id)
    at = machine.call(f"{VCPUS}argument_of", machine.vcpus(domain)[0])
    size = int.from_bytes(machine.guest_bytes(domain, at + 4, 4), "big")
    return libfdt.Fdt(machine.guest_bytes(domain, at, size))


def mapped(machine, id, to, size):
    """The machine's frames behind a guest's addresses, of which all are shared ones."""
    found = []
    for gfn in range(to >> 12, (to + size) >> 12):
        leaf = behind(machine, machine.domain(id), gfn)
        assert (leaf.kind, leaf.access) == (FOREIGN, ACCESS_RW)
        found.append(leaf.mfn)
    assert behind(machine, machine.domain(id), (to + size) >> 12).kind == 0
    return found


@settings(max_examples=8)
@given(
    pages=st.sampled_from([1, 2, 511, 513, 1024, 1500]),
    shift=st.sampled_from([0, 1, 512]),
    to=st.sampled_from([TO, TO + 0x1000, 0x1_2345_6000, 0x2_0000_0000]),
    owned=st.booleans(),
    named=st.booleans(),
)
def test_each_has_it_where_it_says(pages, shift, to, owned, named):
    start, size = SHARED + shift * 4096, pages * 4096
    place = [start] if named else []
    machine = boot(
        sharing("a", share("s", *place, TO, size, role="owner" if owned else None)),
        sharing("b", share("s", *place, to, size, role="borrower")),
        plain("c"),
    )
    assert machine.printed == []
    frames = mapped(machine, 1, TO, size)
    assert frames == mapped(machine, 2, to, size) == [*range(frames[0], frames[0] + pages)]
    assert not named or frames[0] == start >> 12
    assert set(states(machine, frames)) == {(OWNED, 1 if owned else HYPERVISOR, 3)}
    assert all(cleared(machine, mfn) for mfn in frames)
    assert not free_frames(machine) & set(frames)
    for id, address, offset in ((1, TO, not owned), (2, to, True)):
        tree = tree_of(machine, id)
        node = tree.path_offset(f"/reserved-memory/xen-shmem@{address:x}")
        assert tree.getprop(node, "compatible").as_str() == "xen,shared-memory-v1"
        assert tree.getprop(node, "xen,id").as_str() == "stream"
        assert bytes(tree.getprop(node, "reg")) == u64(address) + u64(size)
        assert tree.hasprop(node, "xen,offset") == offset
        memory = bytes(tree.getprop(tree.path_offset("/memory@40000000"), "reg"))
        assert memory.endswith(u64(address) + u64(size)), "a kernel may map it as memory"
    tree = tree_of(machine, 3)
    assert tree.path_offset("/reserved-memory", (libfdt.NOTFOUND,)) == -libfdt.NOTFOUND
    assert not machine.walkers.violation()


@settings(max_examples=6)
@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from([REBOOT, POWER_OFF])), min_size=1, max_size=5))
def test_it_outlives_every_domain(ends):
    """What is in it stays, and so does who else has it."""
    size = 600 * 4096
    machine = boot(
        sharing("a", share("s", SHARED, TO, size, role="owner")), sharing("b", share("s", SHARED, TO + MIB, size))
    )
    frames = frames_of([(SHARED, size)])
    free, alive = machine.heap.free_frames, {1, 2}
    machine.put(SHARED + 5000, b"what one tells the other")
    for id, reason in ends:
        if id not in alive:
            continue
        other = {1: 2, 2: 1}[id]
        before = other in alive and mapped(machine, other, TO + (other - 1) * MIB, size)
        end(machine, id, reason)
        if reason == POWER_OFF:
            alive.remove(id)
        else:
            assert machine.domain(id).state == UP
            assert mapped(machine, id, TO + (id - 1) * MIB, size) == frames
        assert other not in alive or mapped(machine, other, TO + (other - 1) * MIB, size) == before
        assert set(states(machine, frames)) == {(OWNED, 1, 1 + len(alive))}
        assert bytes(machine.memory(SHARED + 5000, 24)) == b"what one tells the other"
        assert not free_frames(machine) & set(frames)
        assert machine.heap.free_frames >= free - 2, "slabs of pools may be more"
    assert not machine.walkers.violation()


def test_it_does_not_count_as_memory_and_is_not_given_back():
    machine = boot(sharing("a", share("s", SHARED, TO, MIB)))
    memory = machine.ffi.addressof(machine.domain(1), "common_model_memory_DomainMemory")
    assert memory.held == 1024
    assert machine.call("hv.common.model.memory.DomainMemory.remove", memory, TO >> 12, 1) == 1
    assert memory.held == 1024 and states(machine, [SHARED >> 12]) == [(OWNED, HYPERVISOR, 1)]


def test_shared_memory_without_a_place_comes_from_the_static_heap():
    heap = (PLACE, 16 * MIB)
    machine = boot(static("a", (SHARED, 4 * MIB)), sharing("b", share("s", TO, 4 * MIB)), heap=ranges(heap))
    assert machine.printed == ["(hv) the heap is static: 16 MiB"]
    frames = mapped(machine, 2, TO, 4 * MIB)
    assert set(frames) <= set(frames_of([heap])) and frames[0] % 512 == 0
    assert not free_frames(machine) & set(frames)


def test_shared_memory_that_there_is_no_room_for():
    machine = boot(sharing("a", share("s", TO, 63 * MIB)), plain("b"))
    assert machine.printed == [
        '(hv) there are no 64512 KiB in a row for the shared memory "stream"',
        '(hv) a: there is no memory for the shared memory "stream": the domain is not built',
    ]
    assert machine.domain(1) is None and machine.domain(2).state == UP


MEM = 'property "xen,shared-mem" of s'
MISTAKES = {
    'property "xen,shm-id" of s has 16 characters: 1 to 15 are right': share("s", TO, MIB, id="x" * 16),
    'property "xen,shm-id" of s has 0 characters: 1 to 15 are right': share("s", TO, MIB, id=""),
    'property "xen,shm-id" of s is no text': share("s", TO, MIB, **{"xen,shm-id": b"x"}),
    'property "role" of s is neither "owner" nor "borrower"': share("s", TO, MIB, role="lender"),
    'property "role" of s is "owner": d1 owns "first"': share("s", SHARED, TO, MIB, id="first", role="owner"),
    f"{MEM} is no address, guest's address and size, of the cells that the domain says": share("s", TO),
    f"{MEM} has 0x0 bytes at the guest's {TO:#x}: that is no whole pages": share("s", TO, 0),
    f"{MEM} has 0x1000 bytes at the guest's {TO + 1:#x}: that is no whole pages": share("s", TO + 1, 4096),
    f"{MEM} has {1 << 40:#x} bytes: the machine has not so much memory": share("s", TO, 1 << 40),
    f"{MEM} has 0x1000 bytes at the guest's 0x40000000, where its memory lies": share("s", BANK << 12, 4096),
    f'{MEM} is not what the nodes before it say of "first"': share("s", SHARED, TO, 2 * MIB, id="first"),
    f"{MEM} has {SHARED:#x} to {SHARED + 2 * MIB:#x}, some of which is the shared memory of first, "
    f"{SHARED:#x} to {SHARED + MIB:#x}: move one of them": share("s", SHARED, TO, 2 * MIB),
    f"{MEM} has {MODULES:#x} to {MODULES + MIB:#x}, some of which is a module of before, "
    f"{MODULES:#x} to {MODULES + len(KERNEL):#x}: move one of them": share("s", MODULES, TO, MIB),
    f"{MEM} has 0x8000000 to 0x8100000, where there is no memory: name a range of RAM": share("s", 0x800_0000, TO, MIB),
}


@pytest.mark.parametrize("said", MISTAKES)
def test_a_mistake_refuses_its_domain_in_one_line(said):
    """And what it has brought in with it is forgotten."""
    machine = boot(
        sharing("before", share("f", SHARED, TO, MIB, id="first", role="owner")),
        sharing("bad", share("mine", SHARED + 4 * MIB, TO + 64 * MIB, MIB, id="mine", role="owner"), MISTAKES[said]),
        sharing("after", share("mine", SHARED + 4 * MIB, TO, 2 * MIB, id="mine", role="owner")),
    )
    assert machine.printed == [f"(hv) bad: {said}: the domain is not built"]
    assert machine.domain(2) is None
    assert mapped(machine, 1, TO, MIB) == frames_of([(SHARED, MIB)])
    assert mapped(machine, 3, TO, 2 * MIB) == frames_of([(SHARED + 4 * MIB, 2 * MIB)])


def test_an_owner_that_is_refused_owns_nothing():
    machine = boot(
        sharing("a", share("s", SHARED, TO, MIB)),
        sharing("bad", share("s", SHARED, TO, MIB, role="owner"), share("t", TO, 0)),
        sharing("b", share("s", SHARED, TO, MIB, role="owner")),
    )
    assert len(machine.printed) == 1
    assert states(machine, [SHARED >> 12]) == [(OWNED, 3, 3)]


def test_a_build_that_finds_no_memory_for_tables_gives_back_what_it_had():
    """The share is mapped by single pages, for which the heap has no tables left when the domain is built again."""
    size = 2048 * 4096
    machine = boot(sharing("a", share("s", SHARED + 0x1000, TO, size)), plain("b"))
    frames = frames_of([(SHARED + 0x1000, size)])
    machine.settle_all()
    machine.enter(1)
    machine.call(f"{BUILDER}lifecycle.shutdown_domain", machine.domain(1), REBOOT)
    life = machine.host.variable("hv.common.builder.lifecycle.lives").table[0]
    for _ in range(5000):
        machine.settle_all(1)
        machine.idle_step(1)
        machine.advance(1_000_000)
        if life.stage == 1 and life.construction.phase == 3:
            break
    taken = []
    while machine.heap.free_frames:
        taken.append(machine.call("hv.common.mm.heap.Heap.allocate", machine.heap, 0))
    for _ in range(5000):
        machine.settle_all(1)
        machine.idle_step(1)
        machine.advance(1_000_000)
        if machine.domain(1) is None:
            break
    assert machine.domain(1) is None
    assert machine.lines()[-1] == (
        '(hv) a: the shared memory "stream" cannot be mapped (ENOMEM): the domain is not built'
    )
    assert set(states(machine, frames)) == {(OWNED, HYPERVISOR, 1)}
