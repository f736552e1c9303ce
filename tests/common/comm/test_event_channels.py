"""Event channels of two domains against a model: who is bound to whom, which bits are set in the shared pages, and how
often each vCPU is told. Every operation is a hypercall with its structure in the guest's memory."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.common.comm.guest import (
    EEXIST,
    EINVAL,
    ENOENT,
    ENOSPC,
    ESRCH,
    PENDING,
    SELF,
    Guest,
)  # fmt: skip
from tests.common.guests import Machine

DOMAINS = (1, 2)
VCPUS = 3
INTERDOMAIN, VIRQ, CLOSE, SEND, STATUS, UNBOUND, IPI, BIND_VCPU, UNMASK, RESET = 0, 1, 3, 4, 5, 6, 7, 8, 9, 10
OWN_VIRQS = (0, 1, 7, 13)  # each vCPU's; the others are the domain's
CONSOLE = 1  # the port by which the hypervisor plays the console's other end
MOST = 1023
guests = st.sampled_from(DOMAINS)
ports = st.one_of(st.integers(0, 12), st.sampled_from([63, 64, 1023, 1024, 4096, 2**31, 2**32 - 1]))
vcpu_ids = st.integers(0, VCPUS)  # one of them is none


@dataclass
class End:
    state: int  # as EVTCHNOP_status numbers them
    remote: int = 0
    peer: int = 0
    virq: int = 0
    vcpu: int = 0


@dataclass
class Side:
    """What the model knows of a domain."""

    ends: dict[int, End] = field(default_factory=lambda: {CONSOLE: End(1)})
    pending: set[int] = field(default_factory=set)
    masked: set[int] = field(default_factory=set)
    selected: list[set[int]] = field(default_factory=lambda: [set() for _ in range(VCPUS)])
    upcall: list[bool] = field(default_factory=lambda: [False] * VCPUS)
    told: list[int] = field(default_factory=lambda: [0] * VCPUS)

    def free_port(self) -> int:
        return next(port for port in range(1, MOST + 2) if port not in self.ends)


class Channels(RuleBasedStateMachine):
    narrow = False

    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(2).with_heap().start_scheduling()
        self.guests = {id: Guest(self.machine, id, VCPUS) for id in DOMAINS}
        self.sides = {id: Side() for id in DOMAINS}
        self.bits = 32 if self.narrow else 64
        for guest in self.guests.values():
            guest.shared.narrow = self.narrow

    # The model

    def set_pending(self, id: int, port: int) -> None:
        side = self.sides[id]
        if port in side.pending:
            return
        side.pending.add(port)
        if port not in side.masked:
            self.select(id, port)

    def select(self, id: int, port: int) -> None:
        side, vcpu = self.sides[id], self.sides[id].ends[port].vcpu
        if port // self.bits in side.selected[vcpu]:
            return
        side.selected[vcpu].add(port // self.bits)
        if not side.upcall[vcpu]:
            side.upcall[vcpu] = True
            side.told[vcpu] += 1

    def close_end(self, id: int, port: int) -> None:
        side = self.sides[id]
        end = side.ends.pop(port)
        if end.state == 2:
            other = self.sides[end.remote].ends.get(end.peer)
            if other is not None:
                other.state, other.remote, other.peer = 1, id, 0
        side.pending.discard(port)

    # What guests do

    @rule(id=guests, dom=st.sampled_from([*DOMAINS, SELF, 9]), remote=st.sampled_from([*DOMAINS, SELF, 77]))
    def alloc_unbound(self, id: int, dom: int, remote: int) -> None:
        answer, (_, _, port) = self.guests[id].event(UNBOUND, "<HHI", dom, remote, 0)
        if dom == 9:
            assert answer == -ESRCH
        elif dom not in (id, SELF):
            assert answer == -1
        else:
            assert (answer, port) == (0, self.sides[id].free_port())
            self.sides[id].ends[port] = End(1, id if remote == SELF else remote)

    @rule(id=guests, dom=st.sampled_from([*DOMAINS, SELF, 9]), port=ports)
    def bind_interdomain(self, id: int, dom: int, port: int) -> None:
        answer, (_, _, made) = self.guests[id].event(INTERDOMAIN, "<HxxII", dom, port, 0)
        if dom == 9:
            assert answer == -ESRCH
            return
        remote = id if dom == SELF else dom
        end = self.sides[remote].ends.get(port)
        if end is None or end.state != 1 or end.remote != id:
            assert answer == -EINVAL
            return
        assert (answer, made) == (0, self.sides[id].free_port())
        self.sides[id].ends[made] = End(2, remote, port)
        end.state, end.remote, end.peer = 2, id, made
        self.set_pending(id, made)

    @rule(id=guests, virq=st.sampled_from([0, 1, 2, 7, 13, 23, 24]), vcpu=vcpu_ids)
    def bind_virq(self, id: int, virq: int, vcpu: int) -> None:
        side = self.sides[id]
        answer, (_, _, port) = self.guests[id].event(VIRQ, "<III", virq, vcpu, 0)
        own = virq in OWN_VIRQS
        if virq >= 24 or (not own and vcpu != 0):
            assert answer == -EINVAL
        elif vcpu >= VCPUS:
            assert answer == -ENOENT
        elif any(e.state == 4 and e.virq == virq and (not own or e.vcpu == vcpu) for e in side.ends.values()):
            assert answer == -EEXIST
        else:
            assert (answer, port) == (0, side.free_port())
            side.ends[port] = End(4, virq=virq, vcpu=vcpu)

    @rule(id=guests, vcpu=vcpu_ids)
    def bind_ipi(self, id: int, vcpu: int) -> None:
        answer, (_, port) = self.guests[id].event(IPI, "<II", vcpu, 0)
        if vcpu >= VCPUS:
            assert answer == -ENOENT
        else:
            assert (answer, port) == (0, self.sides[id].free_port())
            self.sides[id].ends[port] = End(5, vcpu=vcpu)

    @rule(id=guests, port=ports, vcpu=vcpu_ids)
    def bind_vcpu(self, id: int, port: int, vcpu: int) -> None:
        answer, _ = self.guests[id].event(BIND_VCPU, "<II", port, vcpu)
        end = self.sides[id].ends.get(port)
        if vcpu >= VCPUS:
            assert answer == -ENOENT
        elif end is None or end.state == 5 or (end.state == 4 and end.virq in OWN_VIRQS):
            assert answer == -EINVAL
        else:
            assert answer == 0
            end.vcpu = vcpu

    @rule(id=guests, port=ports)
    def close(self, id: int, port: int) -> None:
        answer, _ = self.guests[id].event(CLOSE, "<I", port)
        assert answer == (0 if port in self.sides[id].ends else -EINVAL)
        if answer == 0:
            self.close_end(id, port)

    @rule(id=guests, port=ports)
    def send(self, id: int, port: int) -> None:
        answer, _ = self.guests[id].event(SEND, "<I", port)
        end = self.sides[id].ends.get(port)
        if end is None or end.state == 4:
            assert answer == -EINVAL
            return
        assert answer == 0
        if end.state == 2:
            self.set_pending(end.remote, end.peer)
        elif end.state == 5:
            self.set_pending(id, port)

    @rule(id=guests, virq=st.sampled_from([0, 1, 2, 23]), vcpu=st.integers(0, VCPUS - 1))
    def hypervisor_sends_virq(self, id: int, virq: int, vcpu: int) -> None:
        self.machine.call("comm.evtchn.send_virq", self.guests[id].vcpus[vcpu], virq)
        for port, end in self.sides[id].ends.items():
            if end.state == 4 and end.virq == virq and (virq not in OWN_VIRQS or end.vcpu == vcpu):
                self.set_pending(id, port)

    @rule(id=guests, port=st.integers(1, 12))
    def mask(self, id: int, port: int) -> None:
        """A store of the guest's."""
        self.sides[id].masked.add(port)
        self.store_masks(id)

    @rule(id=guests, port=ports)
    def unmask(self, id: int, port: int) -> None:
        side = self.sides[id]
        known = port in side.ends or port < 64 * (1 + max(side.ends, default=0) // 64)
        answer, _ = self.guests[id].event(UNMASK, "<I", port)
        if not known and answer == -EINVAL:
            return
        assert answer == 0
        was_masked = port in side.masked
        side.masked.discard(port)
        if was_masked and port in side.pending:
            self.select(id, port)

    @rule(id=guests, vcpu=st.integers(0, VCPUS - 1))
    def take_upcall(self, id: int, vcpu: int) -> None:
        """As a guest's handler does it: the flag, the selector, the bits that are not masked."""
        side, guest = self.sides[id], self.guests[id]
        side.upcall[vcpu] = False
        words = side.selected[vcpu]
        side.pending -= {p for p in side.pending - side.masked if p // self.bits in words}
        side.selected[vcpu] = set()
        guest.set_page(vcpu * 64, b"\0")
        guest.set_page(vcpu * 64 + (4 if self.narrow else 8), bytes(self.bits // 8))
        guest.set_page(PENDING, bitmap(side.pending, self.bitmap_bytes))

    @rule(id=guests, of=st.sampled_from([*DOMAINS, SELF, 9]), port=ports)
    def status(self, id: int, of: int, port: int) -> None:
        answer, (_, _, state, vcpu, first, second) = self.guests[id].event(STATUS, "<HxxIIIII", of, port, 9, 9, 0, 0)
        if of not in (id, SELF):
            assert answer == (-ESRCH if of == 9 else -1)
            return
        end = self.sides[id].ends.get(port)
        if end is None:
            assert answer == -EINVAL or (answer, state) == (0, 0)
            return
        assert (answer, state, vcpu) == (0, end.state, end.vcpu)
        if end.state == 1:
            assert first & 0xFFFF == end.remote
        elif end.state == 2:
            assert (first & 0xFFFF, second) == (end.remote, end.peer)
        elif end.state == 4:
            assert first == end.virq

    @rule(id=guests)
    def reset(self, id: int) -> None:
        answer, _ = self.guests[id].event(RESET, "<H", SELF)
        assert answer == 0
        listened = CONSOLE if self.console_is_there(id) else 0
        for port in list(self.sides[id].ends):
            if port != listened:
                self.close_end(id, port)

    def console_is_there(self, id: int) -> bool:
        return bool(self.channels(id).listened)

    def channels(self, id: int) -> object:
        guest = self.guests[id]
        return guest.ffi.addressof(guest.domain, "common_comm_event_ports_EventChannels")

    # What is seen

    @property
    def bitmap_bytes(self) -> int:
        return 128 if self.narrow else 512

    def store_masks(self, id: int) -> None:
        self.guests[id].set_page(PENDING + self.bitmap_bytes, bitmap(self.sides[id].masked, self.bitmap_bytes))

    @invariant()
    def the_pages_say_what_the_model_says(self) -> None:
        for id, side in self.sides.items():
            guest = self.guests[id]
            assert guest.page(PENDING, self.bitmap_bytes) == bitmap(side.pending, self.bitmap_bytes)
            masks = guest.page(PENDING + self.bitmap_bytes, self.bitmap_bytes)
            assert masks == bitmap(side.masked, self.bitmap_bytes)
            for vcpu in range(VCPUS):
                flag, narrow, wide = struct.unpack("<BxxxIQ", guest.page(vcpu * 64, 16))
                assert bool(flag) == side.upcall[vcpu]
                selector = sum(1 << word for word in side.selected[vcpu])
                assert (narrow, wide) == ((selector, 0) if self.narrow else (0, selector))
                assert guest.simulated(vcpu).upcalls == side.told[vcpu]


class NarrowChannels(Channels):
    narrow = True


def bitmap(ports: set[int], size: int) -> bytes:
    return sum(1 << port for port in ports).to_bytes(size, "little")


@pytest.mark.parametrize("machine", [Channels, NarrowChannels])
def test_against_the_model(machine: type[Channels]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


def test_a_domain_has_so_many_ports_and_no_more() -> None:
    machine = Machine(1).with_heap().start_scheduling()
    guest = Guest(machine, 1, 1)
    free = machine.heap.free_frames
    for port in range(2, MOST + 1):
        assert guest.event(IPI, "<II", 0, 0) == (0, (0, port))
    assert guest.event(IPI, "<II", 0, 0)[0] == -ENOSPC
    assert guest.event(SEND, "<I", MOST)[0] == 0
    assert guest.event(CLOSE, "<I", 500)[0] == 0
    assert guest.event(IPI, "<II", 0, 0) == (0, (0, 500)), "the lowest free port is given out"
    assert machine.heap.free_frames < free


def test_a_domain_that_goes_leaves_the_others_ports_waiting() -> None:
    machine = Machine(1).with_heap().start_scheduling()
    free = machine.heap.free_frames
    first, second = Guest(machine, 1, 1), Guest(machine, 2, 1)
    _, (_, _, waits) = first.event(UNBOUND, "<HHI", SELF, 2, 0)
    answer, _ = second.event(INTERDOMAIN, "<HxxII", 1, waits, 0)
    assert answer == 0
    end(machine, second)
    answer, (_, _, state, _, remote, _) = first.event(STATUS, "<HxxIIIII", SELF, waits, 0, 0, 0, 0)
    assert (answer, state, remote & 0xFFFF) == (0, 1, 2)
    assert first.event(SEND, "<I", waits)[0] == 0
    end(machine, first)
    machine.reclaim()
    assert machine.heap.free_frames == free, "something that the domains took is left"


def end(machine: Machine, guest: Guest) -> None:
    """Takes a domain apart as the builder does."""
    machine.call("model.domain.Domain.advance", guest.domain, 3)
    table = machine.ffi.addressof(guest.domain, "common_model_vcpu_Vcpus")
    for _ in guest.vcpus:
        vcpu = machine.call("model.vcpu.Vcpus.take_last", table)
        machine.core("remove_vcpu", vcpu)
    memory = machine.ffi.addressof(guest.domain, "common_model_memory_DomainMemory")
    while not machine.call("model.memory.DomainMemory.empty_step", memory):
        pass
    machine.call(
        "model.domain.DomainTable.remove", machine.host.variable("hv.common.model.domain.domains"), guest.domain
    )


def test_a_reset_of_many_ports_is_left_behind_each_bucket() -> None:
    """64 ports are closed in one way through the hypervisor; a port that is listened to stays."""
    machine = Machine(1).with_heap().start_scheduling()
    guest = Guest(machine, 1, 1)
    ports = [guest.event(IPI, "<II", 0, 0)[1][1] for _ in range(300)]
    assert max(ports) >= 300
    calls = guest.calls
    assert guest.event(RESET, "<H", SELF)[0] == 0
    assert 5 <= guest.calls - calls <= 6
    assert guest.event(STATUS, "<HxxIIIII", SELF, ports[-1], 0, 0, 0, 0)[1][2] == 0
    assert guest.event(IPI, "<II", 0, 0)[1][1] == ports[0]
