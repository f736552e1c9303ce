"""Events in queues: one domain sends to another, whose vCPUs take events off their queues as Linux does, against a
model of queues. Every operation is a hypercall; the event array and the control blocks lie in the guest's memory."""

from __future__ import annotations

import struct
from collections import deque

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.common.comm.guest import ARGUMENT, EINVAL, ENOENT, ENOSYS, PAGE, SELF, Guest
from tests.common.comm.test_event_channels import BIND_VCPU, INTERDOMAIN, IPI, RESET, SEND, UNBOUND, UNMASK
from tests.common.guests import Machine

INIT_CONTROL, EXPAND_ARRAY, SET_PRIORITY = 11, 12, 13
PENDING, MASKED, LINKED, LINK = 1 << 31, 1 << 30, 1 << 29, (1 << 17) - 1
VCPUS = 3
CHANNELS = 6
ARRAY = PAGE  # where the guest has it
CONTROL = 2 * PAGE
BLOCK = 128  # bytes from one control block to the next
PRIORITIES = 16
USUAL = 7
channels = st.integers(0, CHANNELS - 1)
vcpu_ids = st.integers(0, VCPUS - 1)


class Queues(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(1).with_heap().start_scheduling()
        self.guest = Guest(self.machine, 1, VCPUS)
        self.sender = Guest(self.machine, 2, 1)
        self.ports, self.theirs = [], []
        for _ in range(CHANNELS):
            _, (_, _, port) = self.guest.event(UNBOUND, "<HHI", SELF, 2, 0)
            _, (_, _, other) = self.sender.event(INTERDOMAIN, "<HxxII", 1, port, 0)
            self.ports.append(port)
            self.theirs.append(other)
        for vcpu in range(VCPUS):
            answer, (*_, bits) = self.guest.event(
                INIT_CONTROL, "<QIIB7x", (ARGUMENT + CONTROL) // PAGE, vcpu * BLOCK, vcpu, 0
            )
            assert (answer, bits) == (0, 17)
        self.queues = {(vcpu, p): deque[int]() for vcpu in range(VCPUS) for p in range(PRIORITIES)}
        self.heads = dict.fromkeys(self.queues, 0)  # the guest's own
        self.place = dict.fromkeys(self.ports, (0, USUAL))
        self.pending: set[int] = set()
        self.masked: set[int] = set()
        self.linked: set[int] = set()
        self.ready: list[set[int]] = [set() for _ in range(VCPUS)]
        self.upcall = [False] * VCPUS
        self.told = [0] * VCPUS
        # What came before the array did is told of when it comes.
        assert self.send_by(0) == 0
        assert self.guest.event(EXPAND_ARRAY, "<Q", (ARGUMENT + ARRAY) // PAGE)[0] == 0
        self.becomes_pending(self.ports[0])

    def send_by(self, channel: int) -> int:
        return self.sender.event(SEND, "<I", self.theirs[channel])[0]

    # The model

    def becomes_pending(self, port: int) -> None:
        self.pending.add(port)
        self.link(port)

    def link(self, port: int) -> None:
        if port in self.masked or port in self.linked:
            return
        vcpu, priority = self.place[port]
        queue = self.queues[vcpu, priority]
        self.linked.add(port)
        queue.append(port)
        if len(queue) == 1 and priority not in self.ready[vcpu]:
            self.ready[vcpu].add(priority)
            if not self.upcall[vcpu]:
                self.upcall[vcpu] = True
                self.told[vcpu] += 1

    # The guest's memory

    def word(self, port: int) -> int:
        return int(struct.unpack("<I", self.guest.get(4, ARRAY + port * 4))[0])

    def set_word(self, port: int, value: int) -> None:
        self.guest.put(struct.pack("<I", value), ARRAY + port * 4)

    def block(self, vcpu: int) -> tuple[int, list[int]]:
        ready, _, *heads = struct.unpack("<II16I", self.guest.get(72, CONTROL + vcpu * BLOCK))
        return ready, heads

    # What they do

    @rule(channel=channels)
    def send(self, channel: int) -> None:
        assert self.send_by(channel) == 0
        self.becomes_pending(self.ports[channel])

    @rule(channel=channels)
    def mask(self, channel: int) -> None:
        port = self.ports[channel]
        self.set_word(port, self.word(port) | MASKED)
        self.masked.add(port)

    @rule(channel=channels)
    def unmask(self, channel: int) -> None:
        port = self.ports[channel]
        assert self.guest.event(UNMASK, "<I", port)[0] == 0
        self.masked.discard(port)
        if port in self.pending:
            self.link(port)

    @rule(channel=channels, priority=st.integers(0, PRIORITIES))
    def set_priority(self, channel: int, priority: int) -> None:
        port = self.ports[channel]
        answer, _ = self.guest.event(SET_PRIORITY, "<II", port, priority)
        assert answer == (0 if priority < PRIORITIES else -EINVAL)
        if answer == 0:
            self.place[port] = self.place[port][0], priority

    @rule(channel=channels, vcpu=vcpu_ids)
    def bind_vcpu(self, channel: int, vcpu: int) -> None:
        port = self.ports[channel]
        assert self.guest.event(BIND_VCPU, "<II", port, vcpu)[0] == 0
        self.place[port] = vcpu, self.place[port][1]

    @rule(vcpu=vcpu_ids)
    def take_one(self, vcpu: int) -> None:
        """Linux's consume_one_event, at the highest priority that is ready."""
        ready, heads = self.block(vcpu)
        if not ready:
            return
        priority = (ready & -ready).bit_length() - 1
        port = self.heads[vcpu, priority] or heads[priority]
        queue = self.queues[vcpu, priority]
        assert port == queue.popleft(), "another event is first"
        word = self.word(port)
        after = word & LINK
        self.set_word(port, word & ~(LINKED | LINK))
        self.linked.discard(port)
        if after == 0:
            self.guest.put(struct.pack("<I", ready & ~(1 << priority)), CONTROL + vcpu * BLOCK)
            self.ready[vcpu].discard(priority)
        self.heads[vcpu, priority] = after
        if word & PENDING and not word & MASKED:
            self.set_word(port, self.word(port) & ~PENDING)
            self.pending.discard(port)

    @rule(vcpu=vcpu_ids)
    def begin_upcall(self, vcpu: int) -> None:
        self.guest.set_page(vcpu * 64, b"\0")
        self.upcall[vcpu] = False

    @invariant()
    def memory_says_what_the_model_says(self) -> None:
        for port in self.ports:
            word = self.word(port)
            assert bool(word & PENDING) == (port in self.pending)
            assert bool(word & MASKED) == (port in self.masked)
            assert bool(word & LINKED) == (port in self.linked)
        for vcpu in range(VCPUS):
            ready, _ = self.block(vcpu)
            assert ready == sum(1 << p for p in self.ready[vcpu])
            assert self.guest.page(vcpu * 64, 1) == bytes([self.upcall[vcpu]])
            assert self.guest.simulated(vcpu).upcalls == self.told[vcpu]

    @invariant()
    def queues_hang_together(self) -> None:
        for (vcpu, priority), queue in self.queues.items():
            if not queue:
                continue
            _, heads = self.block(vcpu)
            port = self.heads[vcpu, priority] or heads[priority]
            for wanted in queue:
                assert port == wanted
                port = self.word(port) & LINK
            assert port == 0


def test_many_that_came_before_the_array_are_told_in_several_calls() -> None:
    """With others' turns in between; the guest's structure is as it was in the end."""
    machine = Machine(1).with_heap().start_scheduling()
    guest = Guest(machine, 1, 1)
    ports = [guest.event(IPI, "<II", 0, 0)[1][1] for _ in range(200)]
    gfn = (ARGUMENT + CONTROL) // PAGE
    assert guest.event(INIT_CONTROL, "<QIIB7x", gfn, 0, 0, 0)[0] == 0
    for port in ports:
        assert guest.event(SEND, "<I", port)[0] == 0
    machine.host.per_cpu(0, "hv.common.kernel.softirq.Pending").bits = 1
    guest.calls = 0
    array = (ARGUMENT + ARRAY) // PAGE
    assert guest.event(EXPAND_ARRAY, "<Q", array) == (0, (array,))
    assert guest.calls == 16
    words = struct.unpack("<1024I", guest.get(PAGE, ARRAY))
    assert [port for port, word in enumerate(words) if word & PENDING] == ports
    queue, port = [], struct.unpack("<I", guest.get(4, CONTROL + 8 + USUAL * 4))[0]
    while port:
        queue.append(port)
        port = words[port] & LINK
    assert queue == ports
    assert guest.event(EXPAND_ARRAY, "<Q", 3 << 52 | array) == (0, (array,))
    state = machine.ffi.addressof(guest.domain, "common_comm_fifo_FifoEvents").state
    assert state.page_count == 1, "a call that goes on takes no page"


def test_against_the_model() -> None:
    run_state_machine_as_test(
        Queues,
        settings=settings(
            max_examples=40, stateful_step_count=80, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )


def test_what_cannot_be_set_up() -> None:
    machine = Machine(1).with_heap().start_scheduling()
    free = machine.heap.free_frames
    guest = Guest(machine, 1, 1)
    page = (ARGUMENT + CONTROL) // PAGE
    assert guest.event(EXPAND_ARRAY, "<Q", page)[0] == -ENOSYS, "an array for bits"
    assert guest.event(SET_PRIORITY, "<II", 1, 0)[0] == -ENOSYS
    for offset in (4, PAGE - 64, PAGE, 2**32 - 8):
        assert guest.event(INIT_CONTROL, "<QIIB7x", page, offset, 0, 0)[0] == -EINVAL
    assert guest.event(INIT_CONTROL, "<QIIB7x", 2**40, 0, 0, 0)[0] == -EINVAL, "where no memory is"
    assert guest.event(INIT_CONTROL, "<QIIB7x", page, 0, 1, 0)[0] == -ENOENT
    assert guest.event(INIT_CONTROL, "<QIIB7x", page, 0, 0, 0)[0] == 0
    assert guest.event(INIT_CONTROL, "<QIIB7x", page, 0, 0, 0)[0] == -EINVAL, "twice"
    assert guest.event(EXPAND_ARRAY, "<Q", 2**40)[0] == -EINVAL
    assert guest.event(RESET, "<H", SELF)[0] == 0
    assert guest.event(EXPAND_ARRAY, "<Q", page)[0] == -ENOSYS, "behind a reset events are bits"
    _, (_, port) = guest.event(IPI, "<II", 0, 0)
    assert guest.event(SEND, "<I", port)[0] == 0
    assert guest.page(32 * 64, 1)[0] >> port & 1
    machine.reclaim()
    assert machine.host.variable("hv.common.comm.fifo.pool").used == 0
    assert machine.heap.free_frames < free


def test_words_that_cannot_be_hurt_nobody() -> None:
    """Links into nothing, and flags at random, with a sender that goes on."""
    machine = Machine(1).with_heap().start_scheduling()
    guest = Guest(machine, 1, 1)
    ports = [guest.event(IPI, "<II", 0, 0)[1][1] for _ in range(8)]
    assert guest.event(INIT_CONTROL, "<QIIB7x", (ARGUMENT + CONTROL) // PAGE, 0, 0, 0)[0] == 0
    assert guest.event(EXPAND_ARRAY, "<Q", (ARGUMENT + ARRAY) // PAGE)[0] == 0
    state = 1
    for _ in range(3000):
        state = state * 1664525 + 1013904223 & 0xFFFF_FFFF
        guest.put(struct.pack("<I", state), ARRAY + ports[state >> 5 & 7] * 4)
        assert guest.event(SEND, "<I", ports[state >> 9 & 7])[0] == 0
        assert guest.event(UNMASK, "<I", ports[state >> 13 & 7])[0] == 0


def test_the_last_of_a_queue_that_goes_to_another() -> None:
    """It leaves the first queue empty: what comes there next is not put behind it in the other."""
    queues = Queues()
    queues.take_one(0)
    queues.set_priority(0, 3)
    queues.send(0)
    queues.send(1)
    queues.queues_hang_together()
    queues.memory_says_what_the_model_says()
    queues.take_one(0)
    queues.bind_vcpu(0, 2)
    queues.send(0)
    queues.set_priority(2, 3)
    queues.send(2)
    queues.queues_hang_together()
    queues.memory_says_what_the_model_says()
