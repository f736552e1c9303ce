"""A guest's I/O ports: 0xE9 takes text for the console, and nothing stands behind the others. Those answer all ones and
forget what is written.
"""

from hv.common.control.console_io import DomainConsole
from hv.common.model.vcpu import Vcpu
from hv.lang import Final, truncate, u8, u16, u32, u64
from hv.x86.context import RAX, VcpuContext

TEXT: Final[u16] = 0xE9
LOW: Final[u64] = 0xFFFF_FFFF


def port_read(vcpu: Vcpu, context: VcpuContext, port: u16, size: u32) -> None:
    """IN of `size` bytes: 1, 2 or 4. One of four clears the upper half of RAX."""
    value = TEXT_PRESENT if port == TEXT and size == 1 else LOW
    mask = LOW >> 32 - 8 * size
    kept = context.registers[RAX] & ~mask if size != 4 else u64(0)
    context.registers[RAX] = kept | value & mask


def port_write(vcpu: Vcpu, context: VcpuContext, port: u16, size: u32) -> None:
    if port == TEXT and size == 1:
        DomainConsole.of(vcpu.domain).console.write(truncate(u8, context.registers[RAX]))


TEXT_PRESENT: Final[u64] = 0xE9  # what Bochs answers there
