"""Trace buffers: records of any length in a ring that somebody else reads, against a list in Python."""

import re
import struct
import subprocess

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hv.common.kernel import trace_events
from tests.common.host import KERNEL, host
from tests.common.kernel.trace_decoder import LOST, WRAP, decode, window

RING = f"{KERNEL}trace_ring.TraceRing."
RECORD = "common_kernel_trace_ring_TraceRecord *"
WORDS = st.integers(0, 2**32 - 1)
HEAD = 8
EVENT = 0x28004


class Ring:
    """A ring over memory of `bytes` bytes, the head included, with a tool that consumes."""

    def __init__(self, bytes):
        self.ffi = host().ffi
        self.size = bytes - HEAD
        self.memory = self.ffi.new("u32[]", bytes // 4 + 4)
        self.memory[bytes // 4] = self.guard = 0xC0FFEE
        self.words = bytes // 4
        self.ring = self.ffi.new("common_kernel_trace_ring_TraceRing *")
        self.record = self.ffi.new(RECORD)
        host().call(f"{RING}attach", self.ring, int(self.ffi.cast("uintptr_t", self.memory)), bytes)

    def put(self, extra, at=0, event=EVENT, running=0):
        self.record.event, self.record.at, self.record.count = event, at, len(extra)
        for i, word in enumerate(extra):
            self.record.extra[i] = word
        return host().call(f"{RING}put", self.ring, self.record, running)

    @property
    def unread(self):
        return (self.memory[1] - self.memory[0]) % (2 * self.size)

    def look(self):
        """The records that are there now. None lies on both sides of the end."""
        data = bytes(self.ffi.buffer(self.memory))[HEAD : HEAD + self.size]
        parts = window(data, self.size, self.memory[0], self.memory[1])
        return [record for part in parts for record in decode(part)]

    def consume(self, bytes):
        self.memory[0] = (self.memory[0] + bytes) % (2 * self.size)


class AgainstModel(RuleBasedStateMachine):
    """`expected` is what the tool still has to see: records in order, and how many were lost before one."""

    @initialize(bytes=st.sampled_from([64, 88, 128, 4096]), turns=st.integers(0, 100))
    def begin(self, bytes, turns):
        self.ring = Ring(bytes)
        self.expected = []
        self.lost, self.since, self.time = 0, 0, 0
        for _ in range(turns):
            self.ring.put([1, 2, 3])
            self.ring.consume(self.ring.unread)

    @rule(extra=st.lists(WORDS, max_size=7), running=WORDS, times=st.just(1) | st.integers(1, 200))
    def put(self, extra, running, times):
        for _ in range(times):
            self.put_one(extra, running)

    def put_one(self, extra, running):
        self.time += 2**31
        before = self.ring.unread
        crossed = self.ring.put(extra, self.time, running=running)
        if self.ring.unread == before:
            self.since = self.time if self.lost == 0 else self.since
            self.lost += 1
            assert not crossed
            return
        if self.lost:
            since = struct.unpack("<2I", self.since.to_bytes(8, "little"))
            self.expected.append((LOST, self.time, (self.lost, running, *since)))
            self.lost = 0
        self.expected.append((EVENT, self.time, tuple(extra)))
        half = self.ring.size // 2
        assert crossed == (before < half <= self.ring.unread)

    @rule(count=st.integers(1, 3) | st.integers(1, 1000))
    def read(self, count):
        """Consumes some records: exactly those that are expected."""
        for record in self.ring.look()[:count]:
            if record.event != WRAP:
                assert (record.event, record.time, record.extra) == self.expected.pop(0)
            self.ring.consume(record.bytes)

    @rule(extra=st.lists(WORDS, max_size=7))
    def full_means_full(self, extra):
        """What is lost would not have fitted: with an empty buffer every record fits."""
        self.ring.consume(self.ring.unread)
        self.expected.clear()
        self.put_one(extra, 7)
        assert self.lost == 0 or self.ring.size < 28 + 40 + 36

    @rule(cons=WORDS)
    def a_tool_that_writes_nonsense_harms_itself_alone(self, cons):
        """Records are lost at worst; none is written outside the buffer."""
        right, self.ring.memory[0] = self.ring.memory[0], cons
        before = self.ring.memory[1]
        credible = cons < 2 * self.ring.size and cons % 4 == 0 and self.ring.unread <= self.ring.size
        if not credible:
            self.ring.put([1, 2])
            assert self.ring.memory[1] == before
            self.since = 0 if self.lost == 0 else self.since
            self.lost += 1
        self.ring.memory[0] = right

    @invariant()
    def whole(self):
        if not hasattr(self, "ring"):
            return
        seen = [r for r in self.ring.look() if r.event != WRAP]
        assert [(r.event, r.time, r.extra) for r in seen] == self.expected
        assert self.ring.memory[self.ring.words] == self.ring.guard
        assert self.ring.ring.lost == self.lost


TestTraceRing = AgainstModel.TestCase


@pytest.mark.parametrize("left", range(4, 40, 4))
@pytest.mark.parametrize("round", [0, 1])
def test_what_is_left_before_the_end_is_filled(left, round):
    """With one record, of any length that is too little for the next: the longest has a time too."""
    ring = Ring(HEAD + 400)
    ring.memory[0] = ring.memory[1] = ring.ring.prod = 400 * round + 400 - left
    ring.put([5] * 7)
    wrap, record = ring.look()
    assert wrap.event == WRAP and wrap.bytes == left
    assert (record.event, record.extra, ring.memory[1]) == (EVENT, (5,) * 7, (400 * round + 440) % 800)


# What the public headers say


def from_header(*expressions: str) -> list[int]:
    """Values of C expressions where the header is known, by the compiler."""
    text = "\n".join(f"value {e}" for e in expressions)
    done = subprocess.run(
        ["clang-19", "-E", "-P", "-D__XEN_TOOLS__", "-include", "stdint.h", "-include", "xen/trace.h", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.findall(r"^value (.*)$", done.stdout, re.MULTILINE)
    assert len(found) == len(expressions)
    return [eval(re.sub(r"(?<=[0-9a-f])UL", "", value)) for value in found]  # sums of numbers


def test_events_have_the_numbers_of_the_public_header():
    events = {member.name: int(member) for member in trace_events.Event}
    assert list(events.values()) == from_header(*(f"TRC_{name}" for name in events))


def test_masks_are_those_of_the_public_header():
    all_events, extra = from_header("TRC_ALL", "TRACE_EXTRA_MAX")
    assert (int(trace_events.ALL_EVENTS), trace_events.MAX_EXTRA) == (all_events, extra)
    assert int(trace_events.CLASSES | trace_events.SUBCLASSES) == all_events


def test_records_and_buffers_are_laid_out_as_in_the_public_header(tmp_path):
    """A C program that knows the header alone reads what the ring wrote."""
    ring = Ring(HEAD + 400)
    ring.put([11, 12, 13, 14, 15, 16, 17], at=0x1234_5678_9ABC_DEF0)
    program, data = tmp_path / "reader", tmp_path / "buffer"
    data.write_bytes(bytes(ring.ffi.buffer(ring.memory)))
    source = """
        #include <stdint.h>
        #include <stdio.h>
        #include <xen/trace.h>
        int main(int n, char **names) {
            char memory[4096];
            FILE *file = fopen(names[1], "r");
            fread(memory, 1, sizeof memory, file);
            struct t_buf *head = (void *)memory;
            struct t_rec *record = (void *)(head + 1);
            printf("%u %u %x %u %u %x %x", head->cons, head->prod, record->event, record->extra_u32,
                record->cycles_included, record->u.cycles.cycles_hi, record->u.cycles.cycles_lo);
            for (int i = 0; i < 7; i++) printf(" %u", record->u.cycles.extra_u32[i]);
        }
    """
    subprocess.run(["clang-19", "-w", "-xc", "-", "-o", str(program)], input=source, text=True, check=True)
    said = subprocess.run([str(program), str(data)], capture_output=True, text=True, check=True).stdout
    assert said == "0 40 28004 7 1 12345678 9abcdef0 11 12 13 14 15 16 17"


def test_every_event_with_words_has_names_for_them():
    for event in trace_events.Event:
        names = trace_events.arguments(event)
        assert len(names.split(",")) <= trace_events.MAX_EXTRA
