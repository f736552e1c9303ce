"""Domains built, shut down, reset and crashed: what is in their memory, and that nothing of them is left."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.guests import (
    BUILDER,
    CRASH,
    MODULES,
    POWER_OFF,
    RAM_BASE,
    RAM_BYTES,
    REBOOT,
    SHUT_DOWN,
    UP,
    VCPUS,
    Machine,
    domain_node,
    flat,
    kernel_image,
    machine_tree,
    module,
    pattern,
)

BANK = 0x4000_0000
KERNEL = kernel_image(0x2_8123, image_size=0x5_0000, seed=3)
RAMDISK = pattern(0x1_2345, 9)
RAMDISK_AT = MODULES + 0x30_0000
LAST_PHASE = 7  # the tree is written next
MIB = 1 << 20


def machine_with(domains, cpus=2, kernel=KERNEL):
    """Domains as name, MiB and vCPUs, all with the same two modules."""
    machine = Machine(cpus)
    for start in range(MODULES - 0x10_0000, RAM_BASE + 0x400_0000 - MIB, 16 * MIB):
        size = min(16 * MIB, RAM_BASE + 0x400_0000 - start)
        machine.put(start, b"\xa5" * size)  # what was in memory before
    machine.put(MODULES, kernel)
    machine.put(RAMDISK_AT, RAMDISK)
    modules = [module("kernel", MODULES, len(kernel)), module("ramdisk", RAMDISK_AT, len(RAMDISK))]
    nodes = [domain_node(name, modules, mib * 1024, vcpus) for name, mib, vcpus in domains]
    machine.printed = machine.boot(flat(machine_tree(nodes, cpus)))
    return machine


def check_memory(machine, domain, mib, kernel=KERNEL):
    """The whole of a fresh domain's memory: the modules, the tree, and zeros."""
    memory = bytearray(machine.guest_bytes(domain, BANK, mib * MIB))
    vcpu = machine.vcpus(domain)[0]
    entry = machine.call(f"{VCPUS}entry_of", vcpu) - BANK
    tree = machine.call(f"{VCPUS}argument_of", vcpu) - BANK
    assert memory[entry : entry + len(kernel)] == kernel
    memory[entry : entry + len(kernel)] = bytes(len(kernel))
    size = int.from_bytes(memory[tree + 4 : tree + 8], "big")
    assert memory[tree : tree + 4] == bytes.fromhex("d00dfeed") and 500 < size < 4096
    memory[tree : tree + size] = bytes(size)
    ramdisk = memory.index(RAMDISK)
    memory[ramdisk : ramdisk + len(RAMDISK)] = bytes(len(RAMDISK))
    assert not any(memory)


def work_off(machine, cpu, most=20_000):
    """The CPU does its long work, with what the others have to do in between. Returns how many steps that took."""
    for steps in range(most):
        machine.settle_all(1)
        if not machine.idle_step(cpu) and not machine.host.per_cpu(cpu, "hv.common.kernel.work.WorkQueue").queue.length:
            return steps
        machine.advance(1_000_000)
    pytest.fail("the work does not end")


def leaves(machine, domain, mib):
    """The orders of the leaves that map its memory."""
    found, gfn = [], BANK >> 12
    while gfn < (BANK >> 12) + mib * 256:
        leaf = machine.call("hv.common.mm.p2m.P2m.lookup", machine.p2m(domain), gfn)
        found.append(leaf.order)
        gfn += 1 << leaf.order
    return found


@settings(max_examples=25)
@given(
    size=st.integers(64, 0x20_0000),
    text_offset=st.sampled_from([0, 0, 0x80000, 0x1000, 0x12_3450]),
    mib=st.sampled_from([4, 7, 8, 16, 30]),
)
def test_memory_of_a_new_domain(size, text_offset, mib):
    kernel = kernel_image(size, text_offset)
    machine = machine_with([("a", mib, 1)], kernel=kernel)
    assert machine.printed == []
    check_memory(machine, machine.domain(1), mib, kernel)


def test_memory_is_the_domains_and_mapped_with_large_leaves():
    machine = machine_with([("a", 16, 1)])
    domain = machine.domain(1)
    assert leaves(machine, domain, 16) == [9] * 8
    p2m = machine.p2m(domain)
    for gfn in range(BANK >> 12, (BANK >> 12) + 16 * 256):
        frame = machine.call("hv.common.mm.p2m.P2m.lookup", p2m, gfn)
        record = machine.call("hv.common.mm.frames.FrameTable.record", machine.frames, frame.mfn)
        assert (record.use, record.owner, record.count) == (3, 1, 1)
    for outside in (BANK - 1, BANK + 16 * MIB, 0x2_0000_0000, 0, 0x2200_0000):
        assert machine.call("hv.common.mm.p2m.P2m.lookup", p2m, outside >> 12).kind == 0
    assert not machine.walkers.violation()


def test_a_guest_sees_its_memory_with_its_caches_off():
    """All of it has been cleaned to memory: here what memory holds is what a cleaned store has put there."""
    machine = Machine(1)
    machine.walkers.visibility.snoops = False
    ram, seen = (
        machine.ffi.cast("char *", machine.host.variable(f"hv.sim.{name}"))
        for name in ("memory.ram", "visibility.seen")
    )
    machine.ffi.memmove(ram, b"\xa5" * RAM_BYTES, RAM_BYTES)
    machine.ffi.memmove(seen, b"\x5a" * RAM_BYTES, RAM_BYTES)
    machine.put(MODULES, KERNEL)
    machine.put(RAMDISK_AT, RAMDISK)
    modules = [module("kernel", MODULES, len(KERNEL)), module("ramdisk", RAMDISK_AT, len(RAMDISK))]
    assert machine.boot(flat(machine_tree([domain_node("a", modules, 8192)], 1))) == []
    p2m = machine.p2m(machine.domain(1))
    for gfn in range(BANK >> 12, (BANK >> 12) + 8 * 256):
        at = (machine.call("hv.common.mm.p2m.P2m.lookup", p2m, gfn).mfn << 12) - RAM_BASE
        assert machine.ffi.buffer(seen + at, 4096)[:] == machine.ffi.buffer(ram + at, 4096)[:], hex(gfn)


def test_a_machine_that_cannot_run_vcpus_refuses_each_domain():
    machine = Machine(2)
    machine.put(MODULES, KERNEL)
    machine.host.variable("hv.sim.vcpus.hindered")[0] = True
    nodes = [domain_node(name, [module("kernel", MODULES, len(KERNEL))]) for name in ("one", "two")]
    said = machine.boot(flat(machine_tree(nodes, 2)))
    why = "this machine has no room for guests: the domain is not built"
    assert said == [f"(hv) one: {why}", f"(hv) two: {why}"]
    assert machine.settle(0) == machine.ffi.NULL


def test_a_machine_with_fewer_vcpus_refuses_domains_with_more():
    """And runs those that it can."""
    machine = Machine(2)
    machine.put(MODULES, KERNEL)
    machine.host.variable("hv.sim.vcpus.most_vcpus")[0] = 8
    modules = [module("kernel", MODULES, len(KERNEL))]
    nodes = [domain_node("large", modules, cpus=9), domain_node("small", modules, cpus=8)]
    said = machine.boot(flat(machine_tree(nodes, 2)))
    why = 'property "cpus" is 9: a domain on this machine has 1 to 8: the domain is not built'
    assert said == [f"(hv) large: {why}"]
    assert machine.domain(1) is None and len(machine.vcpus(machine.domain(2))) == 8


def test_it_starts_with_its_first_vcpu_alone():
    machine = machine_with([("a", 8, 3)], cpus=4)
    domain = machine.domain(1)
    machine.settle_all()
    first, *others = machine.vcpus(domain)
    assert domain.state == UP and first.running and not first.down
    assert all(v.down and not v.running for v in others)


def test_power_off_concerns_one_domain():
    machine = machine_with([("a", 8, 2), ("b", 8, 2)], cpus=3)
    a, b = machine.domain(1), machine.domain(2)
    for domain in (a, b):
        for vcpu in machine.vcpus(domain)[1:]:
            machine.core("vcpu_up", vcpu, 0, 0)
    machine.settle_all()
    taken = machine.heap.free_frames
    vcpu_pool = machine.host.variable("hv.common.model.vcpu.pool")
    assert vcpu_pool.used == 4
    cpu = machine.vcpus(a)[0].at
    machine.enter(cpu)
    machine.call(f"{BUILDER}lifecycle.shutdown_domain", a, POWER_OFF)
    machine.call(f"{BUILDER}lifecycle.shutdown_domain", a, REBOOT)
    assert machine.lines() == ["(hv) d1 a: powered off"]
    assert a.state == SHUT_DOWN and a.reason == POWER_OFF
    work_off(machine, cpu)
    assert machine.domain(1) is None and vcpu_pool.used == 2
    assert machine.heap.free_frames >= taken + 8 * 256
    machine.settle_all()
    assert b.state == UP and machine.vcpus(b)[0].running
    check_memory(machine, b, 8)
    assert machine.lines() == []


def test_reset_builds_the_same_domain_again():
    machine = machine_with([("a", 8, 2), ("b", 8, 1)])
    free = machine.heap.free_frames
    p2m = machine.p2m(machine.domain(1))
    frame = machine.call("hv.common.mm.p2m.P2m.lookup", p2m, (BANK >> 12) + 300)
    for _ in range(3):
        domain = machine.domain(1)
        machine.settle_all()
        machine.put(frame.mfn << 12, b"written by the guest")
        machine.enter(1)
        machine.call(f"{BUILDER}lifecycle.shutdown_domain", domain, REBOOT)
        assert machine.lines() == ["(hv) d1 a: reset"]
        work_off(machine, 1)
        domain = machine.domain(1)
        assert domain.state == UP and len(machine.vcpus(domain)) == 2 and not machine.vcpus(domain)[0].down
        check_memory(machine, domain, 8)
        machine.reclaim()
        # the new vCPUs were made before the old ones had gone, so their pool may have one slab more
        assert free - 1 <= machine.heap.free_frames <= free
        assert machine.lines() == []
    assert not machine.walkers.violation()


def test_a_crash_ends_the_domain_with_its_line():
    machine = machine_with([("a", 8, 1), ("b", 8, 1)])
    machine.settle_all()
    domain = machine.domain(1)
    machine.enter(1)
    machine.call(f"{VCPUS}crash", domain)
    machine.call(f"{VCPUS}crash", domain)
    assert machine.lines() == ["(hv) d1 a: crashes in a test"]
    assert domain.reason == CRASH
    work_off(machine, 1)
    assert machine.domain(1) is None and machine.domain(2).state == UP and machine.lines() == []


def test_a_crash_is_followed_by_the_same_domain_where_that_is_wanted():
    """Not when it comes within a second: that would have no end."""
    machine = machine_with([("a", 8, 1)])
    machine.host.variable("hv.common.builder.description.descriptions").table[0].restarts_on_crash = True
    machine.settle_all()
    machine.advance(2_000_000_000)
    machine.enter(1)
    machine.call(f"{VCPUS}crash", machine.domain(1))
    work_off(machine, 1)
    assert machine.lines() == ["(hv) d1 a: crashes in a test"]
    domain = machine.domain(1)
    assert domain.state == UP
    check_memory(machine, domain, 8)
    machine.settle_all()
    machine.enter(1)
    machine.call(f"{VCPUS}crash", domain)
    work_off(machine, 1)
    assert machine.lines() == [
        "(hv) d1 a: crashes in a test",
        "(hv) a: it crashed within a second: the domain is not built again",
    ]
    assert machine.domain(1) is None


def test_a_domain_that_ends_on_another_cpu_while_it_is_started_is_taken_apart():
    """Its vCPU's CPU is as quick as may be: the builder still is on its way to the lock when all is over."""
    machine = machine_with([("a", 8, 1)])
    machine.settle_all()
    machine.enter(0)
    machine.call(f"{BUILDER}lifecycle.shutdown_domain", machine.domain(1), REBOOT)
    life = machine.host.variable("hv.common.builder.lifecycle.lives").table[0]
    for _ in range(1000):
        if life.stage == 1 and life.construction.phase == LAST_PHASE:
            break
        machine.settle(1)
        machine.enter(0)
        if machine.domain(1).state == SHUT_DOWN:
            machine.settle(0)
        machine.call("hv.common.kernel.work.do_step")
    lock = machine.processor(machine.vcpus(machine.domain(1))[0].at).lock
    served, ended = lock.now_serving, []

    @machine.ffi.callback(machine.ffi.typeof(machine.machine.spin_handler))
    def end_it(cpu):
        machine.machine.spin_handler = machine.ffi.NULL
        ended.append(machine.domain(1))
        lock.next_ticket = served
        machine.enter(1)
        machine.call(f"{VCPUS}crash", ended[0])
        machine.enter(0)
        lock.now_serving, lock.next_ticket = served + 1, served + 2

    lock.next_ticket = served + 1
    machine.machine.spin_handler = end_it
    for _ in range(10):
        if not ended:
            machine.call("hv.common.kernel.work.do_step")
    assert len(ended) == 1 and lock.now_serving == lock.next_ticket
    work_off(machine, 1)
    assert machine.lines() == ["(hv) d1 a: reset", "(hv) d1 a: crashes in a test"]
    assert machine.domain(1) is None and life.stage == 0


def test_a_reset_is_the_end_where_that_is_wanted():
    machine = machine_with([("a", 8, 1)])
    machine.host.variable("hv.common.builder.description.descriptions").table[0].restarts_on_reboot = False
    machine.settle_all()
    machine.enter(1)
    machine.call(f"{BUILDER}lifecycle.shutdown_domain", machine.domain(1), REBOOT)
    work_off(machine, 1)
    assert machine.lines() == ["(hv) d1 a: reset"] and machine.domain(1) is None


def test_memory_is_not_taken_from_a_vcpu_that_still_runs():
    """The other CPU has not left the guest yet."""
    machine = machine_with([("a", 8, 2)])
    domain = machine.domain(1)
    machine.core("vcpu_up", machine.vcpus(domain)[1], 0, 0)
    machine.settle_all()
    here, there = (v.at for v in machine.vcpus(domain))
    machine.enter(here)
    machine.call(f"{BUILDER}lifecycle.shutdown_domain", domain, POWER_OFF)
    for _ in range(5):
        machine.idle_step(here)
        machine.advance(1_000_000)
        assert domain.state == SHUT_DOWN
    machine.settle(there)
    work_off(machine, here)
    assert machine.domain(1) is None


def test_long_work_goes_on_beside_a_guest_that_never_waits():
    machine = machine_with([("a", 8, 1), ("b", 8, 1)], cpus=1)
    machine.settle_all()
    machine.call(f"{BUILDER}lifecycle.shutdown_domain", machine.domain(1), REBOOT)
    ran = 0
    for _ in range(400):
        running = machine.settle(0)
        ran += bool(running and running.domain.id == 2)
        machine.advance(500_000)
    assert ran > 150, "the other guest hardly runs meanwhile"
    assert machine.domain(1).state == UP
    check_memory(machine, machine.domain(1), 8)


def test_steps_are_short():
    """No step clears, copies, takes down or makes much: its stores are counted."""
    machine = machine_with([("a", 16, 8)])
    machine.settle_all()
    machine.enter(0)
    machine.call(f"{BUILDER}lifecycle.shutdown_domain", machine.domain(1), REBOOT)
    steps = work_off(machine, 0)
    assert steps > 16 * MIB // 0x8_0000


def test_a_domain_that_finds_too_little_memory_after_a_reset_says_so():
    machine = machine_with([("a", 24, 1), ("b", 4, 1)])
    machine.settle_all()
    machine.enter(0)
    machine.call(f"{BUILDER}lifecycle.shutdown_domain", machine.domain(1), REBOOT)
    held = 0
    while machine.domain(1) and machine.domain(1).state != 0:
        machine.settle_all(1)
        machine.idle_step(0)
        machine.advance(1_000_000)
    while machine.heap.free_frames > 2048:
        machine.call("hv.common.mm.heap.Heap.allocate", machine.heap, 9)
        held += 1
    work_off(machine, 0)
    first, second = machine.lines()
    assert first == "(hv) d1 a: reset"
    assert second.startswith('(hv) a: property "memory" asks for 24576 KiB, and ')
    assert second.endswith(" KiB could be given: the domain is not built")
    assert machine.domain(1) is None and machine.domain(2).state == UP
    assert machine.host.variable("hv.common.model.domain.pool").used == 1


def machine_short_of_memory(kernel, kib, keep, vcpus=1):
    """All that is to be done before domains are built, with a heap of the frames that `keep` chooses."""
    machine = Machine(1)
    machine.put(MODULES, kernel)
    tree = flat(machine_tree([domain_node("a", [module("kernel", MODULES, len(kernel))], kib, vcpus)], 1))
    machine.put(0x4010_0000, tree)
    machine.call(f"{VCPUS}load_tree", 0x4010_0000, len(tree))
    machine.call("hv.common.drivers.devicetree.add_memory")
    early = machine.host.variable("hv.common.mm.early.early")
    machine.call("hv.common.mm.early.EarlyMemory.reserve", early, RAM_BASE, MODULES)
    machine.call(f"{BUILDER}dom0less.read_domains", machine.call("hv.common.drivers.devicetree.machine_cpus"))
    machine.call("hv.common.mm.early.start_heap")
    machine.start_scheduling()
    block = machine.call("hv.common.mm.heap.Heap.allocate", machine.heap, 11)
    single = []
    while machine.heap.free_frames:
        single.append(machine.call("hv.common.mm.heap.Heap.allocate", machine.heap, 0))
    keep(machine, block, single)
    return machine


def outcome(machine, free):
    """What was wrong; None: the domain is built. Nothing is left of one that is not."""
    lines = machine.lines()
    if machine.domain(1):
        assert lines == []
        return None
    assert len(lines) == 1 and lines[0].startswith("(hv) a: ") and lines[0].endswith(": the domain is not built")
    machine.reclaim()
    assert machine.heap.free_frames == free
    for pool in ("domain", "vcpu"):
        assert machine.host.variable(f"hv.common.model.{pool}.pool").used == 0
    return lines[0]


def give_back(machine, mfn, order=0):
    machine.call("hv.common.mm.heap.Heap.free", machine.heap, mfn, order)


def test_a_failed_build_gives_back_what_it_had():
    """The heap has one block for the domain's memory, and a few frames more or less for all the rest."""
    failed = []
    for spare in range(40):

        def keep(machine, block, single, spare=spare):
            give_back(machine, block, 11)
            for mfn in single[:spare]:
                give_back(machine, mfn)

        machine = machine_short_of_memory(KERNEL, 8192, keep)
        machine.call(f"{BUILDER}lifecycle.build_domains")
        failed.append(outcome(machine, 2048 + spare) is not None)
    assert failed == sorted(failed, reverse=True) and set(failed) == {True, False}


def build_with(frames, apart):
    """What comes of a domain of 8 frames with 128 vCPUs, when the heap has so many frames, this far from each other."""

    def keep(machine, block, single):
        for mfn in sorted(single)[::apart][:frames]:
            give_back(machine, mfn)

    machine = machine_short_of_memory(kernel_image(0x1000), 32, keep, vcpus=128)
    machine.call(f"{BUILDER}lifecycle.build_domains")
    return outcome(machine, frames)


def test_every_step_of_a_build_may_find_no_memory():
    enough = next(frames for frames in range(40, 2000, 40) if build_with(frames, 1) is None)
    seen = [build_with(frames, 1) for frames in [7, 8, *range(9, enough - 40, 10), *range(enough - 40, enough)]]
    assert "KiB are free" in seen[0]
    for kind in ("cannot be made", "could be given", "is told cannot be written"):
        assert any(said and kind in said for said in seen), kind


def test_frames_that_make_no_block():
    assert "it cannot be set up (ENOMEM)" in build_with(100, 2)


def test_blocks_as_large_as_a_scattered_heap_has_them():
    """Every other block of 64 KiB is in use: single frames and small blocks make up the memory."""
    machine = Machine(1)
    machine.put(MODULES, KERNEL)
    tree = flat(machine_tree([domain_node("a", [module("kernel", MODULES, len(KERNEL))], 8192)], 1))
    machine.put(0x4010_0000, tree)
    machine.call(f"{VCPUS}load_tree", 0x4010_0000, len(tree))
    machine.call("hv.common.drivers.devicetree.add_memory")
    early = machine.host.variable("hv.common.mm.early.early")
    machine.call("hv.common.mm.early.EarlyMemory.reserve", early, RAM_BASE, MODULES)
    machine.call(f"{BUILDER}dom0less.read_domains", machine.call("hv.common.drivers.devicetree.machine_cpus"))
    for start in range(MODULES + 0x10_0000, RAM_BASE + 0x3F0_0000, 0x2_0000):
        machine.call("hv.common.mm.early.EarlyMemory.reserve", early, start, start + 0x1_0000)
        if start >= MODULES + 0xF0_0000:
            break
    machine.call("hv.common.mm.early.EarlyMemory.reserve", early, RAM_BASE + 0x120_0000, RAM_BASE + 0x3F0_0000)
    machine.call("hv.common.mm.early.start_heap")
    machine.start_scheduling()
    machine.call(f"{BUILDER}lifecycle.build_domains")
    printed = machine.lines()
    assert printed == [] and machine.domain(1).state == UP
    assert set(leaves(machine, machine.domain(1), 8)) == {0}
