"""`./dev trace`: from buffers in memory to xentrace's file and to text."""

import struct

import pytest

from devtools import trace
from devtools.report import Problem
from tests.common.kernel.trace_decoder import CPU_CHANGE, decode

PAGE = 4096
SIZE = PAGE - 8


def record(event, time, *extra):
    words = struct.pack(f"<{len(extra)}I", *extra)
    return struct.pack("<IQ", event | len(extra) << 28 | 1 << 31, time) + words


def machine(*buffers):
    """Memory with struct t_info at page 1 and one page for each CPU's buffer, whose list follows."""
    count = len(buffers) + 1  # the last CPU is offline
    first = (2 + 2 * count + 3) // 4
    offsets = [first + i for i in range(len(buffers))] + [0]
    info = struct.pack(f"<{count + 1}H", 1, *offsets).ljust(4 * first, b"\0")
    info += struct.pack(f"<{len(buffers)}I", *range(2, 2 + len(buffers)))
    whole = b"\0" * PAGE + info.ljust(PAGE, b"\0") + b"".join(b.ljust(PAGE, b"\0") for b in buffers)
    return lambda address, size: whole[address : address + size]


def test_each_cpus_unread_records_are_written_as_xentrace_does():
    wake, block = record(0x28004, 30, 1, 0), record(0x28006, 20, 1, 1)
    wrapped = record(0x2800A, 40, 1, 0, 32767, 1)  # lies at the start of the ring; `wake` before its end
    at = SIZE - len(wake)
    one = struct.pack("<2I", at, SIZE + len(wrapped)) + wrapped.ljust(at, b"\0") + wake
    two = struct.pack("<2I", SIZE, SIZE + len(block)) + block
    data = b"".join(trace.chunks(machine(one, two), PAGE))
    first, *rest = decode(data)
    assert (first.event, first.extra) == (CPU_CHANGE, (0, len(wake + wrapped)))
    assert [r.event for r in rest] == [0x28004, 0x2800A, CPU_CHANGE, 0x28006]
    assert rest[2].extra == (1, len(block))


def test_records_are_shown_in_the_order_of_time(capsys):
    part = record(0x21001 | 2 << 8 | 1 << 4, 7, 1 << 16 | 3)
    other = record(0x81102, 5, 22, 0x1000, 0x80) + record(0x0FFFF123, 6, 9)
    data = b"".join(struct.pack("<3I", CPU_CHANGE | 2 << 28, cpu, len(d)) + d for cpu, d in enumerate((part, other)))
    trace.show(data)
    assert [line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()] == [
        "cpu1 HVM_VMEXIT64 reason=22 pc=0x1000 pc_high=0x80",
        "cpu1 0xffff123 0x9",
        "cpu0 SCHED_RUNSTATE_CHANGE blocked->runnable d1v3",
    ]


@pytest.mark.parametrize(("cons", "prod"), [(2 * SIZE, 0), (0, 2 * SIZE), (0, SIZE + 4)])
def test_a_damaged_buffer_is_told(cons, prod):
    with pytest.raises(Problem, match="damaged"):
        trace.unread(struct.pack("<2I", cons, prod).ljust(PAGE, b"\0"))


def test_a_cut_file_is_told():
    with pytest.raises(Problem, match="ends within a record"):
        list(trace.records(record(0x28004, 1, 2, 3)[:-1]))
