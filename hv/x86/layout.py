"""Where things lie in the hypervisor's address space (48 bits, the same on all CPUs).

The hypervisor has the PML4 slots 256 to 271, where Xen's guests expect it; all others belong to guests, and nothing is
mapped there once the machine has booted.

| slot | from | what | rights |
| --- | --- | --- | --- |
| 256 | 0xFFFF_8000_0000_0000 | kept free for the machine-to-physical table | |
| 257 | 0xFFFF_8080_0000_0000 | the image, at its link address | text: execute; constants: read; the rest: read, write |
| 258 | 0xFFFF_8100_0000_0000 | windows: device registers, and what is seen for a while | never execute |
| 259 | 0xFFFF_8180_0000_0000 | CPU stacks, each above a hole | read, write |
| 260 | 0xFFFF_8200_0000_0000 | what firmware and boot loader left, by its physical address | read |
| 261 | | free | |
| 262 … 271 | 0xFFFF_8300_0000_0000 | all RAM, by its physical address (5 TiB) | read, write |
"""

from hv.common.mm.types import Paddr
from hv.config import CONFIG_NR_CPUS
from hv.lang import Final, U8Enum, symbol, u8, u32, u64

IMAGE: Final[u64] = 0xFFFF_8080_0000_0000
DEVICES: Final[u64] = 0xFFFF_8100_0000_0000
STACKS: Final[u64] = 0xFFFF_8180_0000_0000
FIRMWARE: Final[u64] = 0xFFFF_8200_0000_0000
FIRMWARE_END: Final[u64] = 0xFFFF_8280_0000_0000
DIRECT_MAP: Final[u64] = 0xFFFF_8300_0000_0000
DIRECT_MAP_END: Final[u64] = 0xFFFF_8800_0000_0000

STACK_SLOT: Final[u64] = 0x2_0000  # each CPU's
STACK_PART: Final[u64] = 0x8000  # a stack at the top of each
STACK_SIZE: Final[u64] = 0x4000
EXCEPTION_STACK_SIZE: Final[u64] = 0x2000  # of double fault and machine check, which end here


class StackKind(U8Enum):
    """The stacks of a CPU, in the order of their parts. The first three are those of the interrupt stack table."""

    DOUBLE_FAULT = 0
    NMI = 1
    MACHINE_CHECK = 2
    MAIN = 3


class LoadedImage:
    paddr: Paddr  # where the boot loader put the first byte


loaded: Final = LoadedImage()


def image_bytes() -> u64:
    """The size in memory, zeroed data included."""
    return symbol("__end") - IMAGE


def in_text(address: u64) -> bool:
    """Whether the hypervisor's code is there."""
    return symbol("__text_start") <= address < symbol("__text_end")


def direct_address(paddr: Paddr) -> u64:
    assert paddr < DIRECT_MAP_END - DIRECT_MAP, "physical address beyond the direct map"
    return DIRECT_MAP + paddr


def physical_address(address: u64) -> Paddr:
    """Of an address in the direct map or in the image."""
    if address >= DIRECT_MAP:
        return Paddr(address - DIRECT_MAP)
    assert IMAGE <= address < IMAGE + image_bytes(), "address neither in the direct map nor in the image"
    return Paddr(address - IMAGE + loaded.paddr)


def stack_size(kind: StackKind) -> u64:
    ends = kind == StackKind.DOUBLE_FAULT or kind == StackKind.MACHINE_CHECK
    return EXCEPTION_STACK_SIZE if ends else STACK_SIZE


def stack_top(cpu: u32, kind: StackKind = StackKind.MAIN) -> u64:
    return STACKS + u64(cpu) * STACK_SLOT + (u64(u8(kind)) + 1) * STACK_PART


def on_stack(address: u64) -> bool:
    """Whether 16 bytes there lie in a stack."""
    offset = address - STACKS
    if address % 8 != 0 or offset >= STACK_SLOT * CONFIG_NR_CPUS:
        return False
    kind = StackKind(u8(offset % STACK_SLOT // STACK_PART))
    place = offset % STACK_PART
    return place >= STACK_PART - stack_size(kind) and place <= STACK_PART - 16


def in_stack_hole(address: u64) -> bool:
    """Whether it lies below one of the stacks, where nothing is mapped."""
    offset = address - STACKS
    if offset >= STACK_SLOT * CONFIG_NR_CPUS:
        return False
    kind = StackKind(u8(offset % STACK_SLOT // STACK_PART))
    return offset % STACK_PART < STACK_PART - stack_size(kind)
