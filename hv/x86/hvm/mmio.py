"""Pages that the hypervisor plays for a guest, and the execution of an instruction that reaches one: the local APIC's
registers, each in the first four of 16 bytes (Intel SDM 3A, 10.4.1).

The instruction is read and decoded once; it has one operand in memory, which is read or written once, or both.
"""

from hv.common.kernel.log import Level
from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, Final, truncate, u32, u64
from hv.x86.context import VcpuContext
from hv.x86.hvm import lapic_access
from hv.x86.hvm.alu import AND, CHANGED, COMPARE, compute
from hv.x86.hvm.complain import complain
from hv.x86.hvm.decode import Action, Code, Decoded, Decoder, extended, mask_of
from hv.x86.hvm.exits import advance
from hv.x86.hvm.fetch import fetch, raise_unread
from hv.x86.hvm.inject import raise_undefined
from hv.x86.hvm.lapic import DEFAULT_BASE
from hv.x86.hvm.lapic_device import VcpuApic
from hv.x86.hvm.mode import mode_of
from hv.x86.hvm.virtualisation import Register, virtualisation

PAGE: Final[u64] = 0x1000
CARRY: Final[u64] = 1
LONGEST_REGISTER: Final[u64] = 4


def is_played(address: u64) -> bool:
    """Whether the hypervisor answers at a guest-physical address."""
    return address - DEFAULT_BASE < PAGE


def perform(vcpu: Vcpu, context: VcpuContext, address: u64) -> None:
    """Executes the instruction at which the guest is, whose operand lies there."""
    code = Code()
    decoder = Decoder()
    fetched = fetch(vcpu, code)
    try:
        decoded = decoder.decode(code, mode_of(vcpu))
        execute(vcpu, context, decoded, address)
        advance(vcpu, u64(decoded.length))
    except Errno:
        if code.overrun and not fetched.whole:
            raise_unread(vcpu, fetched)
            return
        complain(vcpu, "an instruction that is not played, at address", address, "#UD injected", Level.WARNING)
        raise_undefined(vcpu)


def execute(vcpu: Vcpu, context: VcpuContext, it: Decoded, address: u64) -> None:
    match it.action:
        case Action.LOAD:
            loaded = read(vcpu, address, it.size)
            put(context, it, extended(loaded, it.size) if it.extends else loaded)
        case Action.STORE:
            write(vcpu, address, it.size, other(context, it))
        case Action.EXCHANGE:
            before = read(vcpu, address, it.size)
            write(vcpu, address, it.size, other(context, it))
            put(context, it, before)
        case Action.TO_MEMORY:
            before = read(vcpu, address, it.size)
            after = calculate(vcpu, it.operation, before, other(context, it), it.size)
            if it.operation != COMPARE:
                write(vcpu, address, it.size, after)
        case Action.TO_REGISTER:
            after = calculate(vcpu, it.operation, other(context, it), read(vcpu, address, it.size), it.size)
            if it.operation != COMPARE:
                put(context, it, after)
        case Action.TEST:
            calculate(vcpu, AND, read(vcpu, address, it.size), other(context, it), it.size)


def calculate(vcpu: Vcpu, operation: u32, first: u64, second: u64, size: u32) -> u64:
    """With the flags of the guest, before and after."""
    extension = virtualisation()
    flags = extension.read(vcpu, Register.RFLAGS)
    result = compute(operation, first, second, size, flags & CARRY != 0)
    extension.write(vcpu, Register.RFLAGS, flags & ~CHANGED | result.flags)
    return result.value


def other(context: VcpuContext, it: Decoded) -> u64:
    """The operand that is not in memory."""
    if it.immediate:
        return it.number & mask_of(it.size)
    whole = context.registers[it.which]
    return (whole >> 8 if it.high else whole) & mask_of(it.size)


def put(context: VcpuContext, it: Decoded, value: u64) -> None:
    """Into the register: one of 32 bits clears the rest, narrower ones leave it."""
    mask = mask_of(it.wide)
    if it.wide == 4:
        context.registers[it.which] = value & mask
    elif it.high:
        context.registers[it.which] = context.registers[it.which] & ~(mask << 8) | (value & mask) << 8
    else:
        context.registers[it.which] = context.registers[it.which] & ~mask | value & mask


def read(vcpu: Vcpu, address: u64, size: u32) -> u64:
    """Bytes that no register has are zero; without registers in memory all are ones."""
    offset = address - DEFAULT_BASE
    place = offset & 0xF
    if not VcpuApic.of(vcpu).apic.is_in_memory:
        return mask_of(size)
    if place >= LONGEST_REGISTER:
        return 0
    return u64(lapic_access.read(vcpu, truncate(u32, offset >> 4))) >> place * 8 & mask_of(size)


def write(vcpu: Vcpu, address: u64, size: u32, value: u64) -> None:
    """Only whole registers are written; an access of another kind has no effect (10.4.1)."""
    offset = address - DEFAULT_BASE
    if u64(size) == LONGEST_REGISTER and offset & 0xF == 0 and VcpuApic.of(vcpu).apic.is_in_memory:
        lapic_access.write(vcpu, truncate(u32, offset >> 4), truncate(u32, value))
