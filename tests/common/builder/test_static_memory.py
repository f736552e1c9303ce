"""Memory that is set aside: which frames a domain has, through its lives; a static heap; and what is refused."""

import struct

import libfdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.builder.test_lifecycle import work_off
from tests.common.guests import (
    BUILDER,
    CRASH,
    IMAGE,
    MODULES,
    POWER_OFF,
    RAM_BASE,
    RAM_BYTES,
    REBOOT,
    TREE,
    UP,
    VCPUS,
    Machine,
    Node,
    domain_node,
    flat,
    kernel_image,
    machine_tree,
    module,
    u32,
    u64,
)

BANK = 0x4000_0000 >> 12
KERNEL = kernel_image(0x8000)
OWNED, FREE = 3, 1
PLACE = RAM_BASE + 0x100_0000
P2M = "hv.common.mm.p2m.P2m."


def ranges(*pairs):
    return b"".join(u64(start) + u64(size) for start, size in pairs)


def static(name, *pairs, memory=None, **more):
    properties = {"xen,static-mem": ranges(*pairs), **more}
    kib = sum(size for _, size in pairs) >> 10 if memory is None else memory
    return domain_node(name, [module("kernel", MODULES, len(KERNEL))], kib, **properties)


def plain(name, memory=4096):
    return domain_node(name, [module("kernel", MODULES, len(KERNEL))], memory)


def boot(*domains, heap=None, before=b"\xa5", edit=None):
    machine = Machine(2)
    machine.put(MODULES + 0x10_0000, before * (RAM_BASE + RAM_BYTES - MODULES - 0x10_0000))
    machine.put(MODULES, KERNEL)
    tree = machine_tree(domains, 2)
    if heap is not None:
        chosen(tree).properties["xen,static-heap"] = heap
    if edit:
        edit(tree)
    machine.printed = machine.boot(flat(tree))
    return machine


def chosen(tree):
    return next(child for child in tree.children if child.name == "chosen")


def records(machine):
    """Those of all memory: owner, use, order, count, and two links."""
    bank = machine.frames.banks[0]
    return list(struct.iter_unpack("<HBBIII", machine.memory(bank.records - offset(machine), 16 * bank.frames)))


def offset(machine):
    """From a physical address to where the simulated machine has it."""
    ram = machine.host.variable("hv.sim.memory.ram")
    return int(machine.ffi.cast("uintptr_t", ram)) - RAM_BASE


def states(machine, mfns):
    """Use, owner and count of each."""
    table = records(machine)
    return [(frame[1], frame[0], frame[3]) for frame in (table[mfn - (RAM_BASE >> 12)] for mfn in mfns)]


def state(machine, mfn):
    return states(machine, [mfn])[0]


def behind(machine, domain, gfn):
    return machine.call(f"{P2M}lookup", machine.p2m(domain), gfn)


def frames_of(pairs):
    return [(start >> 12) + i for start, size in pairs for i in range(size >> 12)]


def free_frames(machine):
    """Those on the heap's lists."""
    found = set()
    for mfn, frame in enumerate(records(machine), RAM_BASE >> 12):
        if frame[1] == FREE:
            found.update(range(mfn, mfn + (1 << frame[2])))
    assert len(found) == machine.heap.free_frames
    return found


def end(machine, id, reason):
    """The domain's end, and all that follows it."""
    machine.settle_all()
    machine.enter(1)
    machine.call(f"{BUILDER}lifecycle.shutdown_domain", machine.domain(id), reason)
    work_off(machine, 1)
    machine.reclaim()


def cleared(machine, mfn):
    return machine.memory(mfn << 12, 4096)[:] == bytes(4096)


@st.composite
def layouts(draw):
    """Ranges that do not overlap, in any order."""
    at, found = PLACE >> 12, []
    for _ in range(draw(st.integers(1, 8))):
        at += draw(st.sampled_from([0, 0, 1, 3, 512]))
        if draw(st.booleans()):
            at = -(-at // 512) * 512
        size = draw(st.sampled_from([1, 2, 100, 511, 512, 513, 1024, 1500]))
        found.append((at << 12, size << 12))
        at += size
    return draw(st.permutations(found))


@settings(max_examples=10)
@given(layouts())
def test_memory_is_the_ranges_in_order(pairs):
    if sum(size for _, size in pairs) < 0x10_0000:
        pairs = [*pairs, (RAM_BASE + RAM_BYTES - 0x10_0000, 0x10_0000)][-8:]
        pairs = [(PLACE - 0x20_0000, 0x20_0000), *pairs][:8]
    machine = boot(plain("a"), static("b", *pairs))
    assert machine.printed == []
    domain = machine.domain(2)
    expected = frames_of(pairs)
    gfn = BANK
    while gfn < BANK + len(expected):
        leaf = behind(machine, domain, gfn)
        mfn = expected[gfn - BANK]
        assert (leaf.kind, leaf.mfn) == (1, mfn)
        assert leaf.order == 0 or gfn % 512 == mfn % 512 == 0
        together = gfn % 512 == mfn % 512 == 0 and expected[gfn - BANK : gfn - BANK + 512] == [*range(mfn, mfn + 512)]
        assert not together or leaf.order == 9 or crosses(pairs, mfn)
        gfn += 1 << leaf.order
    assert set(states(machine, expected)) == {(OWNED, 2, 2)}
    written = sum(not cleared(machine, mfn) for mfn in expected)
    assert written <= len(KERNEL) // 4096 + 2, "kernel and tree"
    assert behind(machine, domain, gfn).kind == 0
    assert not free_frames(machine) & set(expected)
    assert not machine.walkers.violation()


def crosses(pairs, mfn):
    """Whether a block from there on lies in two ranges, which are mapped one by one."""
    return any(start >> 12 <= mfn < (start + size) >> 12 < mfn + 512 for start, size in pairs)


@settings(max_examples=5)
@given(
    layouts(),
    st.lists(st.sampled_from([REBOOT, REBOOT, CRASH]), min_size=1, max_size=4),
    st.sampled_from([POWER_OFF, REBOOT]),
)
def test_lives_leave_heap_and_frames_as_they_were(pairs, ends, last):
    pairs = [(PLACE - 0x20_0000, 0x20_0000), *pairs][:8]
    machine = boot(static("a", *pairs), plain("b"))
    assert machine.printed == []
    machine.host.variable("hv.common.builder.description.descriptions").table[0].restarts_on_crash = True
    frames = frames_of(pairs)
    free = machine.heap.free_frames
    for reason in [*ends, last]:
        for mfn in frames[:: len(frames) // 7 + 1]:
            machine.put(mfn << 12, b"written by the guest")
        machine.settle_all()
        machine.advance(2_000_000_000)
        end(machine, 1, reason)
        alive = reason != POWER_OFF
        assert (machine.domain(1) is not None) == alive
        assert set(states(machine, frames)) == {(OWNED, 1, 2 if alive else 1)}
        if alive:
            assert machine.domain(1).state == UP
            assert sum(not cleared(machine, mfn) for mfn in frames) <= len(KERNEL) // 4096 + 2
            assert free - 1 <= machine.heap.free_frames <= free, "a slab of the vCPUs' pool may be one more"
        else:
            assert machine.heap.free_frames > free, "its tables and the rest are back"
        assert not free_frames(machine) & set(frames)
    assert not machine.walkers.violation()


def test_a_domain_waits_for_frames_that_somebody_still_refers_to():
    machine = boot(static("a", (PLACE, 0x40_0000)))
    held = [(PLACE >> 12) + i for i in (700, 701)]
    for mfn in held:
        machine.call("hv.common.mm.ownership.get_frame", mfn, 1)
    machine.put(held[0] << 12, b"seen by who refers to it")
    machine.settle_all()
    machine.enter(1)
    machine.call(f"{BUILDER}lifecycle.shutdown_domain", machine.domain(1), REBOOT)

    def wait():
        for _ in range(300):
            machine.settle_all(1)
            machine.idle_step(1)
            machine.advance(1_000_000)
        machine.enter(1)

    wait()
    assert machine.domain(1).state == 0 and not machine.idle_step(1), "it is being built, and no CPU is kept busy"
    assert bytes(machine.memory(held[0] << 12, 24)) == b"seen by who refers to it"
    machine.call("hv.common.mm.ownership.put_frame", held[0])
    wait()
    assert machine.domain(1).state == 0
    machine.call("hv.common.mm.ownership.put_frame", held[1])
    wait()
    assert machine.domain(1).state == UP and cleared(machine, held[0])
    assert set(states(machine, frames_of([(PLACE, 0x40_0000)]))) == {(OWNED, 1, 2)}


def test_what_a_guest_gives_back_it_gets_again_and_nothing_else():
    machine = boot(static("a", (PLACE, 0x40_0000)))
    domain = machine.domain(1)
    memory = machine.ffi.addressof(domain, "common_model_memory_DomainMemory")
    gfn, mfn = BANK + 900, (PLACE >> 12) + 900
    machine.put(mfn << 12, b"written by the guest")
    assert machine.call("hv.common.model.memory.DomainMemory.remove", memory, gfn, 3) == 3
    assert state(machine, mfn) == (OWNED, 1, 1) and behind(machine, domain, gfn).kind == 0
    populate = "hv.common.model.memory.DomainMemory.populate"
    free = machine.heap.free_frames
    assert machine.host.errno(populate, memory, domain, BANK + 0x400, 1) == 12, "no memory for another place"
    machine.call("hv.common.mm.ownership.get_frame", mfn + 2, 1)
    assert machine.host.errno(populate, memory, domain, gfn, 3) == 12, "somebody refers to the third"
    assert [state(machine, mfn + i)[2] for i in range(3)] == [1, 1, 2]
    machine.call("hv.common.mm.ownership.put_frame", mfn + 2)
    machine.call(populate, memory, domain, gfn, 3)
    assert [behind(machine, domain, gfn + i).mfn for i in range(3)] == [mfn, mfn + 1, mfn + 2]
    assert cleared(machine, mfn) and state(machine, mfn) == (OWNED, 1, 2)
    assert machine.heap.free_frames == free
    end(machine, 1, POWER_OFF)
    assert set(states(machine, frames_of([(PLACE, 0x40_0000)]))) == {(OWNED, 1, 1)}


def direct(name, *pairs, **more):
    return static(name, *pairs, **{"direct-map": b"", **more})


@settings(max_examples=8)
@given(layouts(), st.sampled_from([REBOOT, POWER_OFF]))
def test_direct_map_shows_memory_where_the_machine_has_it(pairs, reason):
    """Kernel and tree stand in the first range; the tree lists the ranges in their order."""
    pairs = [(PLACE - 0x40_0000, 0x40_0000), *pairs][:8]
    machine = boot(plain("a"), direct("b", *pairs))
    assert machine.printed == []
    frames = frames_of(pairs)
    for _ in range(2):
        domain = machine.domain(2)
        for mfn in [frames[0], frames[-1], *frames[:: len(frames) // 40 + 1]]:
            leaf = behind(machine, domain, mfn)
            assert (leaf.kind, leaf.mfn) == (1, mfn)
        assert behind(machine, domain, BANK).kind == 0
        assert set(states(machine, frames)) == {(OWNED, 2, 2)}
        vcpu = machine.vcpus(domain)[0]
        entry = machine.call(f"{VCPUS}entry_of", vcpu)
        at = machine.call(f"{VCPUS}argument_of", vcpu)
        assert entry == pairs[0][0] and machine.memory(entry, len(KERNEL))[:] == KERNEL
        assert pairs[0][0] < at < sum(pairs[0])
        tree = libfdt.Fdt(bytes(machine.memory(at, int.from_bytes(machine.memory(at + 4, 4), "big"))))
        memory = tree.path_offset(f"/memory@{pairs[0][0]:x}")
        assert bytes(tree.getprop(memory, "reg")) == ranges(*pairs)
        end(machine, 2, REBOOT)
    end(machine, 2, reason)
    assert set(states(machine, frames)) == {(OWNED, 2, 1 if reason == POWER_OFF else 2)}


def test_mistakes_in_a_direct_map():
    machine = boot(direct("bad", (PLACE + 0x1000, 4 << 20)), direct("good", (PLACE, 4 << 20)))
    assert machine.printed == [
        f'(hv) bad: property "direct-map" lets memory begin at {PLACE + 0x1000:#x}: '
        "a kernel wants a multiple of 2 MiB: the domain is not built"
    ]
    assert machine.domain(2).state == UP


MIB = 1 << 20
OTHERS = (PLACE + 16 * MIB, 4 * MIB)  # what "before" has
MISTAKES = {
    "is no list of addresses and sizes, of the cells that /chosen says": static(
        "bad", memory=4096, **{"xen,static-mem": u64(1)}
    ),
    "has 9 ranges: 8 are the most": static("bad", *((PLACE + i * MIB, MIB) for i in range(9))),
    f"has a range of no bytes at {PLACE:#x}: leave it out": static("bad", (PLACE, 0), memory=4096),
    f"has {PLACE + 1:#x} to {PLACE + 0x40_0001:#x}: both have to be multiples of 0x1000": static(
        "bad", (PLACE + 1, 4 * MIB)
    ),
    "has 0x8000000 to 0x8400000, where there is no memory: name a range of RAM": static("bad", (0x800_0000, 4 * MIB)),
    f"has {RAM_BASE + RAM_BYTES - MIB:#x} to {RAM_BASE + RAM_BYTES + 3 * MIB:#x}, where there is no memory: "
    "name a range of RAM": static("bad", (RAM_BASE + RAM_BYTES - MIB, 4 * MIB)),
    f"has {2**64 - MIB:#x} to {3 * MIB:#x}, where there is no memory: name a range of RAM": static(
        "bad", (2**64 - MIB, 4 * MIB)
    ),
    f"has {IMAGE[0]:#x} to {IMAGE[1]:#x}, some of which is in use or reserved: move it": static("bad", (IMAGE[0], MIB)),
    f"has {TREE:#x} to {TREE + MIB:#x}, some of which is in use or reserved: move it": static("bad", (TREE, MIB)),
    f"has {OTHERS[0] + MIB:#x} to {OTHERS[0] + 2 * MIB:#x}, some of which is the memory of before, "
    f"{OTHERS[0]:#x} to {OTHERS[0] + 4 * MIB:#x}: move one of them": static("bad", (OTHERS[0] + MIB, MIB)),
    f"has {PLACE + 0x1000:#x} to {PLACE + 0x10_1000:#x}, some of which is the memory of bad, "
    f"{PLACE:#x} to {PLACE + MIB:#x}: move one of them": static("bad", (PLACE, MIB), (PLACE + 0x1000, MIB)),
    f"has {MODULES:#x} to {MODULES + 0x40_0000:#x}, some of which is a module of before, "
    f"{MODULES:#x} to {MODULES + len(KERNEL):#x}: move one of them": static("bad", (MODULES, 4 * MIB)),
    'adds up to 4096 KiB, and "memory" is 8192 KiB: make them the same': static("bad", (PLACE, 4 * MIB), memory=8192),
}


@pytest.mark.parametrize("said", MISTAKES)
def test_a_mistake_refuses_its_domain_in_one_line(said):
    machine = boot(static("before", OTHERS), MISTAKES[said], static("after", (PLACE, 4 * MIB)))
    assert machine.printed == [f'(hv) bad: property "xen,static-mem" {said}: the domain is not built']
    assert machine.domain(2) is None
    assert machine.domain(1).state == UP and machine.domain(3).state == UP, "nothing of the refused is claimed"


def test_a_module_in_what_is_set_aside():
    bad = domain_node("bad", [module("kernel", OTHERS[0], len(KERNEL))])
    machine = boot(static("before", OTHERS), bad)
    assert machine.printed == [
        f'(hv) bad: property "reg" of kernel@{OTHERS[0]:x} is {OTHERS[0]:#x} to {OTHERS[0] + len(KERNEL):#x}, which '
        f"overlaps the memory of before, {OTHERS[0]:#x} to {OTHERS[0] + 4 * MIB:#x}: the domain is not built"
    ]


@pytest.mark.parametrize("place", ["chosen", "root"])
def test_cells_of_the_parent(place):
    """Or of the nearest node above that says."""
    node = static("a", (PLACE, 4 * MIB))
    node.properties["xen,static-mem"] = u32(PLACE) + u64(4 * MIB)

    def edit(tree):
        if place == "chosen":
            chosen(tree).properties["#address-cells"] = u32(1)
        else:
            tree.properties["#address-cells"] = u32(1)
            tree.children[0].properties["reg"] = u32(RAM_BASE) + u64(RAM_BYTES)

    machine = boot(node, edit=edit)
    assert machine.printed == []
    assert behind(machine, machine.domain(1), BANK).mfn == PLACE >> 12


# The static heap


@settings(max_examples=6)
@given(st.lists(st.integers(8, 200), min_size=1, max_size=6), st.integers(0, 3))
def test_the_heap_is_what_is_said(sizes, gap):
    """In units of 64 KiB, behind each other; beside them lies a domain's memory."""
    at, pairs = PLACE, [(PLACE - 8 * MIB, 8 * MIB)]
    for size in sizes:
        at += gap << 16
        pairs.append((at, size << 16))
        at += size << 16
    memory = (RAM_BASE + RAM_BYTES - 4 * MIB - 0x1000, 4 * MIB)
    machine = boot(static("a", memory), plain("b"), heap=ranges(*pairs))
    total = sum(size for _, size in pairs)
    assert machine.printed == [f"(hv) the heap is static: {total >> 20} MiB"]
    assert machine.domain(1).state == UP and machine.domain(2).state == UP
    allowed = set(frames_of(pairs))
    assert free_frames(machine) <= allowed
    for i in range(0, 1024, 31):
        assert behind(machine, machine.domain(2), BANK + i).mfn in allowed
        assert behind(machine, machine.domain(1), BANK + i).mfn == (memory[0] >> 12) + i
    free = machine.heap.free_frames
    for reason in (REBOOT, REBOOT):
        end(machine, 2, reason)
        assert free - 1 <= machine.heap.free_frames <= free
    end(machine, 2, POWER_OFF)
    assert machine.heap.free_frames >= free + 1024 and free_frames(machine) <= allowed


HEAP_MISTAKES = {
    "is no list of addresses and sizes, of the cells that the root says": u64(1),
    "has 17 ranges: 16 are the most": ranges(*((PLACE + i * MIB, MIB) for i in range(17))),
    f"has {PLACE + 0x1000:#x} to {PLACE + 0x10_1000:#x}: both have to be multiples of 0x10000": ranges(
        (PLACE + 0x1000, MIB)
    ),
    f"has {TREE:#x} to {TREE + MIB:#x}, some of which is in use or reserved: move it": ranges((TREE, MIB)),
    f"has {PLACE:#x} to {PLACE + MIB:#x}, some of which is the static heap of chosen, "
    f"{PLACE:#x} to {PLACE + MIB:#x}: move one of them": ranges((PLACE, MIB), (PLACE, MIB)),
}


@pytest.mark.parametrize("said", HEAP_MISTAKES)
def test_a_mistake_in_the_static_heap(said):
    machine = boot(plain("a", 24 << 10), heap=HEAP_MISTAKES[said])
    assert machine.printed == [f'(hv) chosen: property "xen,static-heap" {said}: the heap has all memory']
    assert machine.domain(1).state == UP


def test_a_domain_may_not_have_what_is_the_heap():
    machine = boot(static("bad", (PLACE, 4 * MIB)), plain("good"), heap=ranges((PLACE, 16 * MIB)))
    assert machine.printed == [
        f'(hv) bad: property "xen,static-mem" has {PLACE:#x} to {PLACE + 4 * MIB:#x}, some of which is the static heap '
        f"of chosen, {PLACE:#x} to {PLACE + 16 * MIB:#x}: move one of them: the domain is not built",
        "(hv) the heap is static: 16 MiB",
    ]
    assert machine.domain(1) is None and machine.domain(2).state == UP


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**64 - 1) | st.integers(RAM_BASE, RAM_BASE + RAM_BYTES).map(lambda x: x & ~0xFFF),
            st.integers(0, 2**64 - 1) | st.sampled_from([0, 0x1000, MIB, 4 * MIB]),
        ),
        max_size=10,
    ),
    st.integers(0, 5),
    st.booleans(),
)
def test_odd_ranges_cost_at_most_their_domain(pairs, cut, heap):
    data = ranges(*pairs)
    data = data[: len(data) - cut]
    if heap:
        machine = boot(Node("other", {}), heap=data)
        assert len(machine.printed) <= 1
    else:
        machine = boot(static("odd", memory=4096, **{"xen,static-mem": data}), plain("good", 1024))
        assert len(machine.printed) <= 1 and machine.domain(2).state == UP
