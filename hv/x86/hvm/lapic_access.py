"""The local APIC's registers as its vCPU reaches them: in memory, and as model-specific registers.

What the guest writes to CR8 the hardware keeps: it is asked before the task priority is looked at.

Source: Intel SDM 3A, 10.8.6 and 10.12.
"""

from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, Final, raises, truncate, u8, u32, u64
from hv.x86.hvm.lapic import (
    CURRENT_COUNT,
    DIVIDE,
    ICR,
    ICR_HIGH,
    INITIAL_COUNT,
    LVT_TIMER,
    PPR,
    SVR,
    TPR,
    LocalApic,
)
from hv.x86.hvm.lapic_device import VcpuApic
from hv.x86.hvm.lapic_ipi import command
from hv.x86.hvm.state import HvmDomain
from hv.x86.hvm.upcall import tell_again
from hv.x86.hvm.virtualisation import virtualisation

FIRST_REGISTER: Final[u32] = 0x800  # of x2APIC's
LAST_REGISTER: Final[u32] = 0x83F


def read(vcpu: Vcpu, register: u32) -> u32:
    own = VcpuApic.of(vcpu)
    if register == CURRENT_COUNT:
        return own.current_count()
    if register in (TPR, PPR):
        follow_task_priority(vcpu, own.apic)
    return own.apic.read(register)


def write(vcpu: Vcpu, register: u32, value: u32) -> None:
    own = VcpuApic.of(vcpu)
    if register in (SVR, LVT_TIMER, INITIAL_COUNT, DIVIDE):
        own.write_timer(register, value)
        if register == SVR and own.apic.is_enabled:
            tell_again(vcpu)
    elif own.apic.write(register, value):
        command(vcpu, own.apic)
    elif register == TPR:
        virtualisation().set_task_priority(vcpu, u8(own.apic.priority_class))


def follow_task_priority(vcpu: Vcpu, apic: LocalApic) -> None:
    """Behind what the guest has written to CR8."""
    priority = u32(virtualisation().task_priority(vcpu))
    if priority != apic.priority_class:
        apic.set_priority_class(priority)


# Model-specific registers


def read_base(vcpu: Vcpu) -> u64:
    return VcpuApic.of(vcpu).apic.hw.apic_base_msr


@raises
def write_base(vcpu: Vcpu, value: u64) -> None:
    """EPERM: from this mode there is no way to that one. What becomes of the task priority, CR8 shows."""
    own = VcpuApic.of(vcpu)
    follow_task_priority(vcpu, own.apic)
    own.write_base(value)
    virtualisation().set_task_priority(vcpu, u8(own.apic.priority_class))


def read_deadline(vcpu: Vcpu) -> u64:
    return VcpuApic.of(vcpu).apic.hw.tdt_msr


def write_deadline(vcpu: Vcpu, value: u64) -> None:
    VcpuApic.of(vcpu).set_deadline(value, value - HvmDomain.of(vcpu.domain).tsc)


@raises
def read_register(vcpu: Vcpu, number: u32) -> u64:
    """EPERM: there is no such register, or x2APIC is off."""
    apic = VcpuApic.of(vcpu).apic
    register = number - FIRST_REGISTER
    if not apic.is_x2apic or not apic.exists(register, False):
        raise Errno.EPERM
    if register == ICR:
        return u64(apic.regs[ICR_HIGH]) << 32 | u64(apic.regs[ICR])
    return u64(read(vcpu, register))


@raises
def write_register(vcpu: Vcpu, number: u32, value: u64) -> None:
    """EPERM: there is no such register, or x2APIC is off, or a reserved bit is set."""
    apic = VcpuApic.of(vcpu).apic
    register = number - FIRST_REGISTER
    if not apic.is_x2apic or not apic.exists(register, True) or not apic.can_hold(register, value):
        raise Errno.EPERM
    if register == ICR:
        apic.regs[ICR_HIGH] = u32(value >> 32)
    write(vcpu, register, truncate(u32, value))
