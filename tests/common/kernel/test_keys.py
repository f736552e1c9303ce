"""Debug keys on the simulated machine: each prints what the objects are, and none waits for a CPU that is stuck."""

import re

import pytest

from tests.common.guests import VCPUS, Machine
from tests.common.host import KERNEL, RESTARTED, ending

CPUS = 4
SHOWS = {"a", "H", "i", "L", "m", "p", "q", "r", "t", "T", "u"}
ACTS = {"h", "l", "P", "C", "R"}
TIMER = re.compile(r"\(hv\)   in (-?\d+) ns: (0x[0-9a-f]+)")
CLOCK = re.compile(
    r"\(hv\) CPU (\d+): (\d+) ns, counter 0x[0-9a-f]+"
    r"(?:, (-?\d+) ns ahead, give or take (\d+))?(?:, alarm in (-?\d+) ns)?"
)


@pytest.fixture
def machine():
    return Machine(CPUS).with_heap().start_scheduling()


def hold(machine, lock):
    """Takes a lock as a CPU that is stuck."""
    lock.next_ticket += 1


def test_h_lists_every_key(machine):
    lines = machine.press("h")
    assert {line.removeprefix("(hv) ")[0] for line in lines} == SHOWS | ACTS | {"*"}
    assert len(lines) == len(SHOWS | ACTS) + 1
    assert all(re.fullmatch(r"\(hv\) .: \S.*", line) for line in lines)


def test_an_unknown_key_is_told_and_the_next_works(machine):
    assert machine.press("z")[0] == "(hv) no such key: h lists those that there are"
    said, *rest = machine.press("z!r")
    assert said == machine.press("z")[0] and rest[0] == said
    assert rest[1:] == [f"(hv) CPU {cpu}: idle" for cpu in range(CPUS)]


def test_a_star_shows_all_that_changes_nothing(machine):
    """In the words of each key by itself."""
    lines = machine.press("*")
    heads = [i for i, line in enumerate(lines) if line.startswith("(hv) key ")]
    assert {lines[i].removeprefix("(hv) key ")[0] for i in heads} == SHOWS
    for start, stop in zip(heads, [*heads[1:], len(lines)], strict=True):
        if lines[start].startswith("(hv) key r"):
            assert lines[start + 1 : stop] == machine.press("r")


def test_keys_pressed_meanwhile_follow_in_order_and_too_many_are_dropped(machine):
    lines = machine.press("rh" * 100)
    idle = machine.press("r")
    keys = machine.press("h")
    assert lines == (idle + keys) * 16  # PRESSED_AHEAD is 32


def test_an_output_is_long_work_of_many_steps(machine):
    """While the CPU has a guest, one step in each millisecond: the first at once, each but a line or two."""
    domain = machine.call(f"{VCPUS}make_domain", 1, 1)
    machine.core("vcpu_up", machine.call(f"{VCPUS}make_vcpu", domain, 1), 0, 0)
    machine.settle(0)
    machine.lines()
    machine.call(f"{KERNEL}keys.press", ord("h"))
    machine.settle(0)
    assert len(machine.lines()) == 1
    machine.settle(0)
    assert machine.lines() == []
    machine.advance(1_000_000)
    machine.settle(0)
    assert len(machine.lines()) == 1


def test_a_shows_each_cpus_timers_in_the_order_of_their_deadlines(machine):
    """Those of three CPUs' turns, and nothing of CPU 3."""
    ends = {0: 5_000_000, 1: 9_000_000, 2: 70_000}
    for cpu, deadline in ends.items():
        machine.enter(cpu)
        slice_ = machine.ffi.addressof(machine.processor(cpu), "slice")
        machine.call(f"{KERNEL}timer.Timer.set", slice_, deadline)
    lines = machine.press("a")
    expired = int(machine.ffi.cast("uintptr_t", machine.host.function("hv.common.sched.core.SliceEnd.expired")))
    at = None
    seen = {}
    for line in lines:
        if match := re.fullmatch(r"\(hv\) CPU (\d): (\d+) timers, at (\d+) ns", line):
            cpu, at = int(match[1]), int(match[3])
            seen[cpu] = []
        else:
            match = TIMER.fullmatch(line)
            seen[cpu].append((at + int(match[1]), int(match[2], 16)))
    assert {cpu: (deadline, expired) in seen[cpu] for cpu, deadline in ends.items()} == dict.fromkeys(ends, True)
    assert [len(seen[cpu]) for cpu in range(CPUS)] == [1, 1, 1, 0]


def test_a_shows_the_first_of_many(machine):
    timers = [machine.ffi.new("common_kernel_timer_Timer *") for _ in range(70)]
    owner = machine.processor(0).slice.owner
    for i, timer in enumerate(timers):
        machine.call(f"{KERNEL}timer.Timer.init", timer, owner)
        machine.call(f"{KERNEL}timer.Timer.set", timer, (i + 1) * 10_000_000)
    lines = machine.press("a")
    assert re.fullmatch(r"\(hv\) CPU 0: 70 timers, of which the first 64 are shown, at \d+ ns", lines[0])
    assert len([line for line in lines if TIMER.fullmatch(line)]) == 64


def test_t_compares_the_clocks(machine):
    """All read one clock here; the answer takes as long as the others take to come by."""
    machine.call(f"{KERNEL}timer.Timer.set", machine.ffi.addressof(machine.processor(0), "slice"), 123_000)
    found = [CLOCK.fullmatch(line) for line in machine.press("t")]
    assert [int(match[1]) for match in found] == list(range(CPUS))
    assert found[0][3] is None and int(found[0][2]) + int(found[0][5]) == 123_000
    for match in found[1:]:
        assert abs(int(match[3])) <= int(match[4])
    assert int(found[0][2]) <= int(found[1][2]) <= int(found[2][2])


def test_a_cpu_that_does_not_answer_is_passed_over(machine):
    lines = machine.press("tT", silent=(2,))
    assert lines.count("(hv) CPU 2 does not answer") == 2
    assert len([line for line in lines if line.startswith("(hv) CPU 3: ")]) == 2


def test_a_cpu_that_comes_back_answers_what_is_asked_then(machine):
    machine.press("t", silent=(2,))
    machine.settle(2)
    assert len([line for line in machine.press("t") if CLOCK.fullmatch(line)]) == CPUS


def test_locks_that_are_held_for_long_are_passed_over(machine):
    domain = machine.call(f"{VCPUS}make_domain", 1, 1)
    machine.call(f"{VCPUS}make_vcpu", domain, 0)
    hold(machine, machine.processor(1).lock)
    hold(machine, machine.host.per_cpu(2, f"{KERNEL}timer.Timers").lock)
    hold(machine, domain.lock)
    assert machine.press("r", silent=(1, 2)) == [
        f"(hv) CPU {cpu}: {'its run queue is locked for long' if cpu == 1 else 'idle'}" for cpu in range(CPUS)
    ]
    assert "(hv) CPU 2: its timers are locked for long" in machine.press("a", silent=(1, 2))
    assert machine.press("q", silent=(1, 2))[1:] == ["(hv)   its lock is held for long"]


def test_q_shows_where_vcpus_may_run_and_what_they_are(machine):
    domain = machine.call(f"{VCPUS}make_domain", 7, 4)
    vcpus = [machine.call(f"{VCPUS}make_vcpu", domain, cpus) for cpus in (0b0001, 0b1011, 0b0100, 0)]
    for vcpu in vcpus[:3]:
        machine.core("vcpu_up", vcpu, 0, 0)
    machine.settle_all()
    machine.core("pause", vcpus[2])
    machine.settle_all()
    machine.advance(5_000)
    head, *rows = machine.press("q")
    assert head == "(hv) d7 test: BUILDING, 0 MiB and 4 frames of tables, 1 refs"
    assert [re.sub(r"ran \d+", "ran N", row) for row in rows] == [
        f"(hv)   vCPU 0: RUNNING on CPU {vcpus[0].at} of 0, ran N us, 0 pauses",
        f"(hv)   vCPU 1: RUNNING on CPU {vcpus[1].at} of 0-1,3, ran N us, 0 pauses",
        "(hv)   vCPU 2: OFFLINE on CPU 2 of 2, ran N us, 1 pauses",
        f"(hv)   vCPU 3: down on CPU {vcpus[3].at} of 0-7, ran N us, 0 pauses",
    ]
    assert domain.references == 1


def test_h_and_m_tell_free_memory_and_whose_the_rest_is(machine):
    """The lines add up to the machine's frames, and change by what is allocated."""

    def heap():
        first, *orders = machine.press("H")
        blocks = [re.fullmatch(r"\(hv\)   order (\d+): (\d+) blocks of (\d+) KiB", line) for line in orders]
        assert all(int(b[3]) == 4 << int(b[1]) for b in blocks)
        assert first == f"(hv) heap: {machine.heap.free_frames} frames are free"
        assert sum(int(b[2]) << int(b[1]) for b in blocks) == machine.heap.free_frames
        return {int(b[1]): int(b[2]) for b in blocks}

    def memory():
        numbers = re.fullmatch(
            r"\(hv\) memory: (\d+) frames of 4 KiB in 1 banks: (\d+) free, (\d+) taken by the hypervisor, "
            r"(\d+) never on the heap",
            (lines := machine.press("m"))[0],
        )
        owned = {int(m[1]): int(m[2]) for m in re.finditer(r"d(\d+) test: (\d+) frames", "\n".join(lines))}
        frames, free, taken, reserved = map(int, numbers.groups())
        assert frames == free + taken + reserved + sum(owned.values())
        assert free == machine.heap.free_frames
        return taken, owned, lines[-2:]

    before = heap()
    taken, owned, pools = memory()
    assert owned == {} and pools[0].startswith("(hv)   0 domains of ")
    domain = machine.call(f"{VCPUS}make_domain", 5, 1)
    machine.call(f"{VCPUS}make_vcpu", domain, 0)
    made = memory()[1].get(5, 0)
    machine.call("hv.common.mm.ownership.allocate_for", 5, 3)
    machine.call("hv.common.mm.ownership.allocate_for", 5, 0)
    block = machine.call("hv.common.mm.heap.Heap.allocate", machine.heap, 4)
    after, owned, pools = memory()
    assert owned == {5: made + 9} and after >= taken + 16 + 2
    assert [line.split(" of ")[0] for line in pools] == ["(hv)   1 domains", "(hv)   1 vCPUs"]
    assert heap() != before
    machine.call("hv.common.mm.heap.Heap.free", machine.heap, block, 4)
    assert memory()[0] == after - 16


def test_l_counts_the_locks_that_are_taken_and_waited_for(machine):
    """By rank, on all CPUs; the heap's is waited for by CPU 1 until CPU 0 lets go."""

    def profile():
        head, *lines = machine.press("L")
        assert "taken, waited for" in head
        found = [re.fullmatch(r"\(hv\)   (\w+): (\d+), (\d+), (\d+), (\d+)", line) for line in lines]
        return {m[1]: tuple(map(int, m.groups()[1:])) for m in found}

    def allocate(count):
        for _ in range(count):
            machine.call("hv.common.mm.heap.Heap.allocate", machine.heap, 0)

    assert machine.press("l") == ["(hv) locks: all counts are zero"]
    assert "HEAP" not in profile()
    allocate(3)
    machine.enter(1)
    allocate(2)
    machine.enter(0)
    assert profile()["HEAP"] == (5, 0, 0, 0)

    @machine.ffi.callback(machine.ffi.typeof(machine.machine.spin_handler))
    def let_go(cpu):
        machine.advance(700)
        machine.heap.lock.now_serving += 1

    hold(machine, machine.heap.lock)
    machine.machine.spin_handler = let_go
    allocate(1)
    machine.machine.spin_handler = machine.ffi.NULL
    assert profile()["HEAP"] == (6, 1, 700, 0)
    machine.press("l")
    assert "HEAP" not in profile()


def test_i_shows_who_handles_an_interrupt_and_how_often_it_came(machine):
    machine.call("hv.sim.controller.use_arm64_guests", 1_000_000_000, False)
    interrupts = machine.host.variable("hv.arm64.interrupts.interrupts")
    handler = machine.host.function("hv.sim.interrupts.kicked")
    claim = "hv.arm64.interrupts.Interrupts.claim"
    for intid, edge, forwarded in [(0, True, False), (27, False, True), (45, True, False)]:
        machine.call(claim, interrupts, intid, edge, handler, forwarded, True)
    machine.host.per_cpu(2, "hv.arm64.interrupts.Taken").counts[45] = 9
    at = hex(int(machine.ffi.cast("uintptr_t", handler)))
    assert machine.press("i") == [
        f"(hv) interrupt 0: edge, between CPUs, enabled, {at}, taken 0 0 0 0",
        f"(hv) interrupt 27: level, of each CPU, for the guest that runs, enabled, {at}, taken 0 0 0 0",
        f"(hv) interrupt 45: edge, to CPU 0, enabled, {at}, taken 0 0 9 0",
    ]


def test_r_restarts_and_c_panics():
    def press(key):
        machine = Machine(1)
        machine.press(key)

    assert ending(lambda: press("R"))[0] == RESTARTED
    status, said = ending(lambda: press("C"))
    assert status == RESTARTED and "PANIC on CPU 0" in said and "the key C was pressed" in said
