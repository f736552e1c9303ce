"""Where things lie in the hypervisor's address space (EL2, 48 bits, the same on all CPUs).

| from | what | rights |
| --- | --- | --- |
| 0x80_0000_0000 | the image, at its link address | text: execute; constants: read; the rest: read, write |
| 0xA0_0000_0000 | windows: device registers, and what is seen for a while | never execute |
| 0xC0_0000_0000 | CPU stacks, each above an unmapped half slot (boot/arm64/layout.h) | read, write |
| 0x100_0000_0000 | all RAM, by its physical address | read, write |
"""

from hv.common.mm.types import Paddr
from hv.config import CONFIG_NR_CPUS
from hv.lang import Final, symbol, u32, u64

IMAGE: Final[u64] = 0x80_0000_0000
DEVICES: Final[u64] = 0xA0_0000_0000
STACKS: Final[u64] = 0xC0_0000_0000
DIRECT_MAP: Final[u64] = 0x100_0000_0000
ADDRESS_LIMIT: Final[u64] = 0x1_0000_0000_0000

STACK_SLOT: Final[u64] = 0x8000
STACK_SIZE: Final[u64] = 0x4000


class LoadedImage:
    paddr: Paddr  # where the boot loader put the first byte


loaded: Final = LoadedImage()


def image_bytes() -> u64:
    """The size in memory, zeroed data included."""
    return symbol("__end") - IMAGE


def in_text(address: u64) -> bool:
    """Whether the hypervisor's code is there."""
    return symbol("__text_start") <= address < symbol("__text_end")


def in_stubs(address: u64) -> bool:
    """Whether the stubs are there that move and clear memory (boot/arm64/memory.S)."""
    return symbol("memory_stubs") <= address < symbol("memory_stubs_end")


def direct_address(paddr: Paddr) -> u64:
    assert paddr < ADDRESS_LIMIT - DIRECT_MAP, "physical address beyond the direct map"
    return DIRECT_MAP + paddr


def physical_address(address: u64) -> Paddr:
    """Of an address in the direct map or in the image."""
    if address >= DIRECT_MAP:
        return Paddr(address - DIRECT_MAP)
    assert IMAGE <= address < IMAGE + image_bytes(), "address neither in the direct map nor in the image"
    return Paddr(address - IMAGE + loaded.paddr)


def secondary_entry() -> Paddr:
    """Where CPUs start whose MMU is off (boot/arm64/entry.S)."""
    return physical_address(symbol("secondary_entry"))


def pen() -> u64:
    """What keeps waiting CPUs in the pen: the place of the one that may leave it, then its number (entry.S)."""
    return symbol("pen")


def pen_entry() -> Paddr:
    """Where CPUs start that a spin table holds."""
    return physical_address(symbol("pen_entry"))


def guarded_vectors() -> u64:
    return symbol("guarded_vectors")


def exit_guard() -> u64:
    """What the guarded vectors do: the firmware's function, and how many branches (boot/arm64/guarded.S)."""
    return symbol("exit_guard")


def stack_top(cpu: u32) -> u64:
    return STACKS + (u64(cpu) + 1) * STACK_SLOT


def on_stack(address: u64) -> bool:
    """Whether 16 bytes there lie in the mapped half of a stack slot."""
    offset = address - STACKS
    return (
        address % 8 == 0
        and offset < STACK_SLOT * CONFIG_NR_CPUS
        and offset % STACK_SLOT >= STACK_SLOT - STACK_SIZE
        and offset % STACK_SLOT <= STACK_SLOT - 16
    )
