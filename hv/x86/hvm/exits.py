"""What is done for a guest that came out, whichever extension brought it: the same for SVM and VMX.

A CPU need not say where the next instruction begins. Where it does not, each instruction that is performed here is
taken to be as long as it is without prefixes: these have no use before it, and a guest that puts one there goes on
inside its own instruction, to its own harm alone.
"""

from hv.common.builder.lifecycle import domain_crash
from hv.common.control.hypercall import AGAIN, Words
from hv.common.control.multicall import perform
from hv.common.kernel.log import Level
from hv.common.model.vcpu import Vcpu
from hv.common.sched.core import block, switch_off
from hv.lang import Errno, Final, apart, rarely, truncate, u32, u64
from hv.x86.context import R8, R10, RAX, RBX, RCX, RDI, RDX, RSI, VcpuContext
from hv.x86.hvm import cpuid_answers, msr
from hv.x86.hvm.complain import complain
from hv.x86.hvm.components import fault_of_xsetbv
from hv.x86.hvm.event import EventKind
from hv.x86.hvm.inject import nmi_waits, raise_event, raise_protection, raise_undefined
from hv.x86.hvm.mode import in_long_mode
from hv.x86.hvm.state import HvmVcpu
from hv.x86.hvm.virtualisation import Register, virtualisation
from hv.x86.sysreg import Control4

CPUID_BYTES: Final[u64] = 2
RDMSR_BYTES: Final[u64] = 2
VMMCALL_BYTES: Final[u64] = 3
XSETBV_BYTES: Final[u64] = 3
HLT_BYTES: Final[u64] = 1
LOW: Final[u64] = 0xFFFF_FFFF
INTERRUPTS_ON: Final[u64] = 1 << 9  # RFLAGS.IF
NOT_PERMITTED: Final[u64] = ~u64(0)  # -EPERM
USER_PRIVILEGE: Final = 3


def skip(vcpu: Vcpu, plain: u64) -> None:
    """Past the instruction that brought the guest out and has been performed. `plain`: its bytes without prefixes."""
    advance(vcpu, virtualisation().instruction_length(vcpu, plain))


def advance(vcpu: Vcpu, length: u64) -> None:
    """Past an instruction of this length."""
    extension = virtualisation()
    before = extension.read(vcpu, Register.RIP)
    next = before + length
    if (before ^ next) > LOW:
        next = past_edge(vcpu, next)
    extension.write(vcpu, Register.RIP, next)
    extension.clear_shadow(vcpu)


@rarely
def past_edge(vcpu: Vcpu, next: u64) -> u64:
    """Beyond a multiple of 4 GiB, where only 64-bit code goes on."""
    return next if in_long_mode(vcpu) else next & LOW


@apart
def cpuid(vcpu: Vcpu) -> None:
    cpuid_answers.answer(vcpu)
    skip(vcpu, CPUID_BYTES)


@apart
def read_register(vcpu: Vcpu, context: VcpuContext) -> None:
    register = truncate(u32, context.registers[RCX])
    try:
        value = msr.read(vcpu, register)
        context.registers[RAX] = value & LOW
        context.registers[RDX] = value >> 32
        skip(vcpu, RDMSR_BYTES)
    except Errno:
        complain(vcpu, "RDMSR", u64(register), "#GP injected", Level.DEBUG)
        raise_protection(vcpu)


@apart
def write_register(vcpu: Vcpu, context: VcpuContext) -> None:
    register = truncate(u32, context.registers[RCX])
    value = context.registers[RAX] & LOW | context.registers[RDX] << 32
    try:
        msr.write(vcpu, register, value)
        skip(vcpu, RDMSR_BYTES)
    except Errno:
        complain(vcpu, "WRMSR", u64(register), "#GP injected", Level.DEBUG)
        raise_protection(vcpu)


def enable_components(vcpu: Vcpu, context: VcpuContext) -> None:
    """XSETBV."""
    value = context.registers[RAX] & LOW | context.registers[RDX] << 32
    control = Control4(virtualisation().read(vcpu, Register.CR4))
    register = truncate(u32, context.registers[RCX])
    event = fault_of_xsetbv(control, virtualisation().privilege(vcpu), register, value)
    if event.kind != EventKind.NOTHING:
        raise_event(vcpu, event)
        return
    HvmVcpu.of(vcpu).fpu.enable(value)
    skip(vcpu, XSETBV_BYTES)


@apart
def hypercall(vcpu: Vcpu, context: VcpuContext) -> None:
    """From the guest's kernel: number in EAX; arguments in RDI, RSI, RDX, R10 and R8 in 64-bit mode (public/arch-x86/
    xen-x86_64.h), in EBX, ECX, EDX, ESI and EDI else (xen-x86_32.h).
    """
    if virtualisation().privilege(vcpu) == USER_PRIVILEGE:
        context.registers[RAX] = NOT_PERMITTED
        skip(vcpu, VMMCALL_BYTES)
        return
    words = Words()
    number = truncate(u32, context.registers[RAX])
    if in_long_mode(vcpu):
        words.first = context.registers[RDI]
        words.second = context.registers[RSI]
        words.third = context.registers[RDX]
        words.fourth = context.registers[R10]
        words.fifth = context.registers[R8]
        answer = perform(vcpu, number, words)
        if answer == AGAIN:
            context.registers[RDI] = words.first
            context.registers[RSI] = words.second
            context.registers[RDX] = words.third
            context.registers[R10] = words.fourth
            context.registers[R8] = words.fifth
            return
        context.registers[RAX] = truncate(u64, answer)
    else:
        words.first = context.registers[RBX] & LOW
        words.second = context.registers[RCX] & LOW
        words.third = context.registers[RDX] & LOW
        words.fourth = context.registers[RSI] & LOW
        words.fifth = context.registers[RDI] & LOW
        answer = perform(vcpu, number, words)
        if answer == AGAIN:
            context.registers[RBX] = words.first & LOW
            context.registers[RCX] = words.second & LOW
            context.registers[RDX] = words.third & LOW
            context.registers[RSI] = words.fourth & LOW
            context.registers[RDI] = words.fifth & LOW
            return
        context.registers[RAX] = truncate(u64, answer) & LOW
    skip(vcpu, VMMCALL_BYTES)


@apart
def halt(vcpu: Vcpu) -> None:
    """Waits for an interrupt. With interrupts off none can come: the vCPU is off, and with the last one the domain."""
    skip(vcpu, HLT_BYTES)
    if virtualisation().read(vcpu, Register.RFLAGS) & INTERRUPTS_ON != 0 or nmi_waits(vcpu):
        block()
        return
    switch_off(vcpu)


def refuse(vcpu: Vcpu, what: str) -> None:
    """An instruction that this guest's CPU does not have."""
    complain(vcpu, what, 0, "#UD injected", Level.DEBUG)
    raise_undefined(vcpu)


def end(vcpu: Vcpu, what: str, number: u64) -> None:
    """The guest did, or is, what it cannot go on from."""
    domain = vcpu.domain
    ip = virtualisation().read(vcpu, Register.RIP)
    domain_crash(domain, f"d{domain.id} {domain.name} vcpu{vcpu.id}: {what} {number:#x} at rip {ip:#x}: the guest ends")
