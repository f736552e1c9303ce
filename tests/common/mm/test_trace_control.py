"""The operations on trace buffers, as a tool in dom0 will ask for them, and what it then finds in memory."""

import struct

import pytest

from tests.common.cpus import at_once, team
from tests.common.guests import VCPUS, Machine
from tests.common.host import EINVAL, KERNEL, ending, host
from tests.common.kernel.trace_decoder import LOST, WRAP, decode, window

CONTROL = "hv.common.mm.trace_control."
EBUSY, ENOMEM = 16, 12
PAGE = 4096
CPUS = 4
ALL = 0x0FFF_F000
SCHED, VERBOSE = 0x0002_F000, 0x0002_8000
WAKE, SWITCH, RUNSTATE = 0x28004, 0x2800A, 0x21001
IDLE = 32767


class Tool(Machine):
    def __init__(self):
        super().__init__(CPUS)
        self.with_heap()
        self.control = self.host.variable(f"{CONTROL}control")
        self.ask("init")

    def ask(self, operation, *arguments):
        return self.call(f"{CONTROL}TraceControl.{operation}", self.control, *arguments)

    def errno(self, operation, *arguments):
        return self.host.errno(f"{CONTROL}TraceControl.{operation}", self.control, *arguments)

    def memory(self, mfn, bytes):
        address = self.call("hv.sim.arch.direct_address", mfn * PAGE)
        return self.ffi.buffer(self.ffi.cast("char *", address), bytes)

    def frames_of(self, cpu):
        """As xentrace finds them."""
        info = self.ask("get_info")
        data = bytes(self.memory(info.mfn, info.bytes))
        (pages,) = struct.unpack_from("<H", data)
        (offset,) = struct.unpack_from("<H", data, 2 + 2 * cpu)
        return struct.unpack_from(f"<{pages}I", data, 4 * offset)

    def buffer(self, cpu):
        frames = self.frames_of(cpu)
        assert list(frames) == list(range(frames[0], frames[0] + len(frames)))
        return self.memory(frames[0], PAGE * len(frames))

    def records(self, cpu):
        """What is unread; it stays so. Without what fills the end of the ring."""
        data = bytes(self.buffer(cpu))
        cons, prod = struct.unpack_from("<2I", data)
        return [r for part in window(data[8:], len(data) - 8, cons, prod) for r in decode(part) if r.event != WRAP]

    def trace(self, cpu, event=WAKE):
        self.enter(cpu)
        self.call(f"{KERNEL}trace.trace2", event, 1, cpu)


@pytest.fixture
def tool():
    return Tool()


@pytest.mark.parametrize("pages", [1, 2, 3, 5, 8])
def test_a_tool_finds_each_cpus_buffer(tool, pages):
    """The memory taken is that of the buffers and one page of lists."""
    before = tool.heap.free_frames
    tool.ask("set_size", pages)
    assert tool.heap.free_frames == before - CPUS * pages - 1
    seen = [frame for cpu in range(CPUS) for frame in tool.frames_of(cpu)]
    assert len(set(seen)) == CPUS * pages
    tool.ask("enable")
    for cpu in range(CPUS):
        tool.trace(cpu)
    assert [[r.extra for r in tool.records(cpu)] for cpu in range(CPUS)] == [[(1, cpu)] for cpu in range(CPUS)]


def test_sizes_that_are_refused(tool):
    assert tool.errno("enable") == EINVAL
    assert tool.errno("set_size", 0) == EINVAL
    tool.ask("set_size", 2)
    assert (tool.errno("set_size", 2), tool.errno("set_size", 3)) == (EBUSY, EINVAL)


def test_without_memory_nothing_is_taken(tool):
    before = tool.heap.free_frames
    assert tool.errno("set_size", 5000) == ENOMEM
    assert tool.heap.free_frames == before and tool.ask("get_info").mfn == 0
    assert tool.errno("enable") == EINVAL
    tool.ask("set_size", 1)


@pytest.mark.parametrize(
    ("mask", "event", "wanted"),
    [
        (ALL, WAKE, True),
        (SCHED, WAKE, True),
        (VERBOSE, WAKE, True),
        (VERBOSE, RUNSTATE, False),
        (0x0008_F000, WAKE, False),
        (0x0002_0000, WAKE, False),
        (0x0000_8000, WAKE, False),
        (0, WAKE, False),
    ],
)
def test_events_are_wanted_by_class_and_subclass(tool, mask, event, wanted):
    tool.ask("set_size", 1)
    tool.ask("set_evt_mask", mask)
    tool.ask("enable")
    tool.trace(1, event)
    assert [r.event for r in tool.records(1)] == ([event] if wanted else [])
    assert tool.ask("get_info").events == mask


def test_cpus_are_chosen(tool):
    tool.ask("set_size", 1)
    tool.ask("enable")
    kind = tool.ffi.typeof(tool.control.cpus)
    cpus = tool.ffi.new(tool.ffi.getctype(kind, "*"))
    cpus.words[0] = 0b0101
    tool.ask("set_cpu_mask", cpus)
    for cpu in range(CPUS):
        tool.trace(cpu)
    assert [len(tool.records(cpu)) for cpu in range(CPUS)] == [1, 0, 1, 0]


def test_nothing_is_recorded_once_disable_has_returned(tool):
    """Nor does the next trace begin with what this one lost."""
    tool.ask("set_size", 1)
    tool.ask("enable")
    for _ in range(300):
        tool.trace(2)
    assert host().per_cpu(2, f"{KERNEL}tracer.Tracer").ring.lost > 0
    tool.enter(0)
    work = lambda: tool.ask("disable")  # noqa: E731
    at_once(*team(work, *[lambda: None] * (CPUS - 1)))
    before = len(tool.records(2))
    tool.trace(2)
    assert len(tool.records(2)) == before
    tool.buffer(2)[0:4] = tool.buffer(2)[4:8]
    tool.ask("enable")
    tool.trace(2)
    assert [r.event for r in tool.records(2)] == [WAKE]


def test_what_is_lost_names_the_vcpu_that_ran(tool):
    tool.ask("set_size", 1)
    tool.ask("enable")
    tool.enter(1)
    tool.call(f"{KERNEL}trace.trace_switch", IDLE, 1, 5, 3)
    for _ in range(300):
        tool.trace(1)
    tool.buffer(1)[0:4] = tool.buffer(1)[4:8]
    tool.trace(1)
    lost, record = [r for r in tool.records(1) if r.event in (LOST, WAKE)]
    assert lost.event == LOST and lost.extra[1] == 5 | 3 << 16
    assert record.event == WAKE


def test_a_life_of_a_vcpu_is_told(tool):
    """Each CPU's switches are a chain, and runstates follow each other."""
    tool.start_scheduling()
    tool.ask("set_size", 4)
    tool.ask("enable")
    domain = tool.call(f"{VCPUS}make_domain", 1, 2)
    vcpus = [tool.call(f"{VCPUS}make_vcpu", domain, 0) for _ in range(2)]
    for vcpu in vcpus:
        tool.core("vcpu_up", vcpu, 0, 0)
    tool.settle_all()
    for vcpu in vcpus:
        tool.core("vcpu_down", vcpu)
    tool.settle_all()
    states = {}
    for cpu in range(CPUS):
        running = (IDLE, cpu)
        for record in tool.records(cpu):
            if record.event == SWITCH:
                assert record.extra[:2] == running
                running = record.extra[2:]
        assert running == (IDLE, cpu)
    everything = sorted((r for cpu in range(CPUS) for r in tool.records(cpu)), key=lambda r: r.time)
    for record in everything:
        if record.event & ~0xFF0 == RUNSTATE & ~0xFF0 and record.event >> 12 == 0x21:
            who, old, new = record.extra[0], record.event >> 8 & 15, record.event >> 4 & 15
            assert states.get(who, old) == old
            states[who] = new
    assert {who for who in states if who >> 16 == 1} == {1 << 16, 1 << 16 | 1}


def test_a_panic_prints_each_cpus_last_records(tool):
    """At most eight, the last ones, also when the buffer is full."""
    tool.ask("set_size", 1)
    tool.ask("enable")
    tool.host.variable(f"{KERNEL}panic.stay_down")[0] = True
    for i in range(300):
        tool.enter(1)
        tool.call("hv.sim.machine.advance", 1)
        tool.call(f"{KERNEL}trace.trace2", WAKE, 1, i)
    tool.enter(2)
    tool.call(f"{KERNEL}trace.trace_runstate", 7, 1, 2, 1)
    tool.enter(0)
    _, said = ending(lambda: tool.call("hv.sim.samples.panic_with", "all is lost"))
    lines = [line.removeprefix("(hv) ") for line in said.splitlines()]
    start = lines.index("last records of CPU 1:")
    assert lines[start + 1 : start + 9] == [f"  {i + 1} SCHED_WAKE domain=1 vcpu={i}" for i in range(292, 300)]
    assert lines[start + 9 :] == [
        "last records of CPU 2:",
        "  300 SCHED_RUNSTATE_CHANGE blocked->runnable d7v1",
        "halted",
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("tbuf_size=2 tevt_mask=0x0002f000", "trace buffers of 2 pages for each CPU, events 0x2f000"),
        ("tbuf_size=2", "trace buffers of 2 pages for each CPU, events 0x0"),
        ("tevt_mask=0x2f000", "tevt_mask needs tbuf_size"),
        ("tbuf_size=60000", "trace buffers of 60000 pages for each CPU cannot be made: ENOMEM"),
        ("tbuf_size=two", 'option "tbuf_size=two" has a value that it cannot take'),
        ("tevt_mask=0x100000000", 'option "tevt_mask=0x100000000" has a value that it cannot take'),
    ],
)
def test_the_command_line(tool, line, said):
    tool.lines()
    tool.call(f"{KERNEL}cmdline.read_command_line", line)
    tool.call(f"{CONTROL}start_tracing")
    printed = "\n".join(tool.lines())
    assert said in printed
    assert bool(tool.control.enabled) == ("events 0x2f000" in said)


def test_the_debug_key_shows_state_and_last_records(tool):
    tool.ask("set_size", 1)
    tool.ask("enable")
    tool.trace(0)
    tool.trace(1)
    printed = "\n".join(tool.press("T"))
    assert "tracing is on: 1 pages for each CPU, events 0xffff000" in printed
    assert "CPU 1: 1 records, 20 bytes unread, 0 lost" in printed
    assert "0 SCHED_WAKE domain=1 vcpu=1" in printed
