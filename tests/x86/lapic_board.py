"""A domain whose vCPUs have local APICs, on the simulated machine."""

from __future__ import annotations

from typing import Any

from tests.common.guests import VCPUS, Machine

LAPIC = "hv.x86.hvm.lapic.LocalApic."
DEVICE = "hv.x86.hvm.lapic_device.VcpuApic."
IPI = "hv.x86.hvm.lapic_ipi."
ID, TPR, PPR, EOI, LDR, DFR, SVR, ESR, ICR, ICR_HIGH = 2, 8, 0xA, 0xB, 0xD, 0xE, 0xF, 0x28, 0x30, 0x31
LVT, INITIAL_COUNT, CURRENT_COUNT, DIVIDE, IRR, ISR = 0x32, 0x38, 0x39, 0x3E, 0x20, 0x10
WIDE = 1 << 10  # of APIC_BASE


class Board(Machine):
    def __init__(self, vcpus: int = 1, cpus: int = 1) -> None:
        super().__init__(cpus)
        self.with_heap().start_scheduling()
        self.guest = self.call(f"{VCPUS}make_domain", 1, vcpus)
        self.made = [self.call(f"{VCPUS}make_vcpu", self.guest, 0) for _ in range(vcpus)]

    def own(self, vcpu: int) -> Any:
        return self.ffi.addressof(self.made[vcpu], "x86_hvm_lapic_device_VcpuApic")

    def apic(self, vcpu: int) -> Any:
        return self.ffi.addressof(self.own(vcpu), "apic")

    def write(self, vcpu: int, register: int, value: int) -> bool:
        return bool(self.call(f"{LAPIC}write", self.apic(vcpu), register, value))

    def read(self, vcpu: int, register: int) -> int:
        return int(self.call(f"{LAPIC}read", self.apic(vcpu), register))

    def bits(self, vcpu: int, first: int) -> set[int]:
        self.read(vcpu, IRR)  # what was posted is taken
        data = self.apic(vcpu).regs.data
        words = [data[4 * (first + i)] for i in range(8)]
        return {i * 32 + b for i, word in enumerate(words) for b in range(32) if word >> b & 1}

    def forget_requests(self, vcpu: int) -> None:
        for i in range(8):
            self.apic(vcpu).regs.data[4 * (IRR + i)] = 0

    def turn_x2apic_on(self, vcpu: int) -> None:
        self.call(f"{DEVICE}write_base", self.own(vcpu), self.apic(vcpu).hw.apic_base_msr | WIDE)

    def send(self, sender: int, command: int, destination: int) -> None:
        """By the command register in its present form."""
        wide = self.apic(sender).hw.apic_base_msr & WIDE
        self.write(sender, ICR_HIGH, destination if wide else destination << 24)
        assert self.write(sender, ICR, command)
        self.call(f"{IPI}command", self.made[sender], self.apic(sender))
