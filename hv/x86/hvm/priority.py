"""MOV to CR8 that comes out of the guest, because an interrupt waits for the task priority to fall.

Where the CPU does not tell which register is moved, the instruction is read. It is 0F 22 /0 with REX.R, or on AMD 0F 22
/0 behind LOCK; its operand is always a 64-bit register (APM 3, MOV CRn).
"""

from hv.common.model.vcpu import Vcpu
from hv.lang import Final, u8, u32, u64
from hv.x86.context import VcpuContext
from hv.x86.hvm.decode import Code
from hv.x86.hvm.exits import advance
from hv.x86.hvm.fetch import fetch, raise_unread
from hv.x86.hvm.inject import raise_protection, raise_undefined
from hv.x86.hvm.lapic_device import VcpuApic
from hv.x86.hvm.virtualisation import virtualisation

HIGHEST: Final[u64] = 15
PREFIXES: Final = 12  # before the opcode, at most
REX_BASE: Final[u8] = 1 << 0


def play_move(vcpu: Vcpu, context: VcpuContext) -> None:
    """The instruction at which the guest is."""
    instruction = Code()
    fetched = fetch(vcpu, instruction)
    at = opcode_at(instruction)
    register = u32(instruction.byte(at + 2) & 7)
    if instruction.overrun and not fetched.whole:
        raise_unread(vcpu, fetched)
        return
    if instruction.byte(at) != 0x0F or instruction.byte(at + 1) != 0x22:
        raise_undefined(vcpu)  # another vCPU has changed it
        return
    if at != 0 and instruction.byte(at - 1) & 0xF0 == 0x40 and instruction.byte(at - 1) & REX_BASE != 0:
        register += 8
    set_priority(vcpu, context, register, u64(at) + 3)


def set_priority(vcpu: Vcpu, context: VcpuContext, register: u32, length: u64) -> None:
    """By an instruction of this length, from this general register."""
    value = context.registers[register]
    if value > HIGHEST:
        raise_protection(vcpu)
        return
    VcpuApic.of(vcpu).apic.set_priority_class(u32(value))
    virtualisation().set_task_priority(vcpu, u8(value))
    advance(vcpu, length)


def opcode_at(instruction: Code) -> u32:
    """Behind all prefixes."""
    for i in range(PREFIXES):
        byte = instruction.byte(u32(i))
        rex = byte & 0xF0 == 0x40
        if not rex and byte not in (0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3):
            return u32(i)
    return PREFIXES
