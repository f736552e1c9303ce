"""Domains that make hypercalls on the simulated machine: their structures in their memory, and what they share."""

from __future__ import annotations

import struct
from typing import Any

from tests.common.guests import MEMORY, VCPUS, Machine
from tests.common.host import Host

PENDING = 32 * 64  # of shared_info on x86
PAGE = 4096
ARGUMENT = 0x10_0000  # guest-physical, where a domain's structures lie
ARGUMENT_FRAMES = 4
MEMORY_OP, VM_ASSIST, GRANT_TABLE_OP, VCPU_OP, SCHED_OP, EVENT_CHANNEL_OP, HVM_OP = 12, 21, 20, 24, 29, 32, 34
SELF = 0x7FF0
EPERM, ENOENT, ESRCH, ENXIO, ENOMEM, EFAULT, EEXIST, EINVAL, ENOSPC, ENOSYS, ETIME = (
    1, 2, 3, 6, 12, 14, 17, 22, 28, 38, 62,
)  # fmt: skip
AGAIN = -85


class Guest:
    """A domain that runs, whose vCPUs are all down but known."""

    def __init__(self, machine: Machine, id: int, vcpus: int) -> None:
        self.machine = machine
        self.host: Host = machine.host
        self.ffi = machine.ffi
        self.id = id
        self.domain = machine.call(f"{VCPUS}make_domain", id, vcpus)
        machine.call(f"{MEMORY}p2m.P2m.populate", machine.p2m(self.domain), ARGUMENT // PAGE, ARGUMENT_FRAMES)
        for _ in range(vcpus):
            machine.call(f"{VCPUS}make_vcpu", self.domain, 0)
        self.vcpus = machine.vcpus(self.domain)
        self.words = self.ffi.new("common_control_hypercall_Words *")
        self.calls = 0  # that were made, again and again until they were done

    @property
    def shared(self) -> Any:
        return self.ffi.addressof(self.domain, "common_comm_shared_info_SharedInfo")

    def simulated(self, vcpu: int) -> Any:
        return self.ffi.addressof(self.vcpus[vcpu], "sim_vcpus_SimulatedVcpu")

    def put(self, data: bytes, at: int = 0) -> None:
        found = self.machine.call(f"{MEMORY}p2m.P2m.lookup", self.machine.p2m(self.domain), (ARGUMENT + at) // PAGE)
        self.machine.put((found.mfn << 12) + at % PAGE, data)

    def get(self, size: int, at: int = 0) -> bytes:
        found = self.machine.call(f"{MEMORY}p2m.P2m.lookup", self.machine.p2m(self.domain), (ARGUMENT + at) // PAGE)
        return bytes(self.machine.memory((found.mfn << 12) + at % PAGE, size))

    def page(self, offset: int, size: int) -> bytes:
        """Of the shared page."""
        return bytes(self.machine.memory((self.shared.mfn << 12) + offset, size))

    def set_page(self, offset: int, data: bytes) -> None:
        self.machine.put((self.shared.mfn << 12) + offset, data)

    def call(self, number: int, *words: int, vcpu: int = 0) -> int:
        """Makes a hypercall until it is done."""
        for name, value in zip(("first", "second", "third", "fourth", "fifth"), (*words, 0, 0, 0, 0, 0), strict=False):
            setattr(self.words, name, value)
        answer = AGAIN
        while answer == AGAIN:
            self.calls += 1
            answer = self.machine.call("control.hypercall.call", self.vcpus[vcpu], number, self.words)
        return int(answer)

    def event(self, operation: int, layout: str, *values: int) -> tuple[int, tuple[int, ...]]:
        """An operation of event channels: its answer, and the structure behind it."""
        self.put(struct.pack(layout, *values))
        answer = self.call(EVENT_CHANNEL_OP, operation, ARGUMENT)
        return answer, struct.unpack(layout, self.get(struct.calcsize(layout)))
