"""Building the hypervisor's address space (layout.py), on the boot CPU and before another one runs.

Tables come from a static pool, since the heap's own memory is reached through them. Entries are only added, never
changed, so nothing has to be flushed; what is writable is never executable (SCTLR_EL2.WXN enforces it as well).
Device registers are mapped as the drivers find them, at addresses that are handed out once.
"""

from hv.arm64.cpu import complete_stores, forget_hypervisor_here, instruction_barrier, store_word
from hv.arm64.layout import (
    DEVICES,
    IMAGE,
    STACK_SIZE,
    STACKS,
    direct_address,
    loaded,
    physical_address,
    stack_top,
)
from hv.arm64.maintenance import publish_table
from hv.arm64.sysreg import TTBR0_EL2
from hv.common.mm.types import PAGE_SHIFT, PAGE_SIZE, Paddr
from hv.config import CONFIG_NR_CPUS
from hv.lang import Bits, Field, Final, U8Enum, address_of, aligned, array, ptr, symbol, u8, u32, u64, unbounded

ENTRIES: Final = 512
TABLES: Final = 64
BLOCK_2M: Final[u64] = 0x20_0000
PAGE_MASK: Final[u64] = PAGE_SIZE - 1


class MemoryType(U8Enum):
    """The attribute's number in MAIR_EL2 (boot/arm64/layout.h)."""

    NORMAL = 0
    DEVICE = 1


class Shareability(U8Enum):
    NONE = 0
    OUTER = 2
    INNER = 3


class Stage1Entry(Bits[u64]):
    """A descriptor of the EL2 translation regime, 4 KiB granule (Arm DDI 0487, D8.3)."""

    valid = Field(0)
    table_or_page = Field(1)  # in a leaf: set at level 3 alone
    memory = Field(4, 2, of=MemoryType)
    one = Field(6)  # AP[1], which is one where EL2 has no EL0
    read_only = Field(7)
    shareability = Field(9, 8, of=Shareability)
    accessed = Field(10)
    frame = Field(47, 12)
    never_execute = Field(54)


@aligned(4096)
class Table:
    entries: array[u64, ENTRIES]


@aligned(4096)
class Stack:
    bytes: array[u8, 0x4000]


pool: Final[array[Table, TABLES]] = array()
stacks: Final[array[Stack, CONFIG_NR_CPUS]] = array()


class AddressSpace:
    root: Table
    tables_used: u32
    devices_end: u64  # where the next device's registers go

    def init(self) -> None:
        self.root = self._new_table()
        self.devices_end = DEVICES

    @unbounded("each step maps some of what is left")
    def map(self, address: u64, paddr: u64, length: u64, leaf: Stage1Entry) -> None:
        """Maps whole pages in the largest blocks that fit. What is mapped already stays: it must lead to the same place."""
        assert (address | paddr | length) % PAGE_SIZE == 0, "mapping of parts of pages"
        done: u64 = 0
        while done < length:
            done += self._map_one(address + done, paddr + done, length - done, leaf)
        publish_table()

    def _map_one(self, address: u64, paddr: u64, length: u64, leaf: Stage1Entry) -> u64:
        """Maps one page or block at the address. Returns its size."""
        table = self.root
        for level in range(4):
            shift = PAGE_SHIFT + 9 * (3 - level)
            size = u64(1) << shift
            index = address >> shift & (ENTRIES - 1)
            entry = Stage1Entry(table.entries[index])
            fits = level != 0 and (address | paddr) % size == 0 and length >= size
            if level == 3 or (fits and not entry.valid) or (level != 0 and entry.valid and not entry.table_or_page):
                return _put_leaf(table, index, paddr, size, leaf)
            if not entry.valid:
                fresh = self._new_table()
                link = Stage1Entry(valid=True, table_or_page=True, frame=physical_address(address_of(fresh)) >> PAGE_SHIFT)
                store_word(address_of(table.entries) + index * 8, link.raw)
                table = fresh
            else:
                table = ptr[Table](_image_address(entry.frame << PAGE_SHIFT)).ref()
        return PAGE_SIZE

    def _new_table(self) -> Table:
        assert self.tables_used < TABLES, "the memory map of this machine is too scattered for the hypervisor's tables"
        table = pool[self.tables_used]
        self.tables_used += 1
        return table


def _put_leaf(table: Table, index: u64, paddr: u64, size: u64, leaf: Stage1Entry) -> u64:
    """Writes a leaf, or finds one there that leads to the same place. Returns what it spans, from the address on."""
    entry = Stage1Entry(table.entries[index])
    start = paddr & ~(size - 1)
    if entry.valid:
        assert entry.frame == start >> PAGE_SHIFT, "one address mapped to two places"
        return size - paddr % size
    entry = leaf
    entry.valid = True
    entry.table_or_page = size == PAGE_SIZE
    entry.frame = start >> PAGE_SHIFT
    store_word(address_of(table.entries) + index * 8, entry.raw)
    return size


def _image_address(paddr: u64) -> u64:
    """Where the image shows a table of its pool."""
    return paddr - loaded.paddr + IMAGE


space: Final = AddressSpace()


def build(image: Paddr) -> u64:
    """Makes the address space with image and stacks, and enters it. Returns the root's physical address."""
    loaded.paddr = image
    space.init()
    map_image(symbol("__text_start"), symbol("__text_end"), memory_leaf(executable=True, writable=False))
    map_image(symbol("__rodata_start"), symbol("__rodata_end"), memory_leaf(executable=False, writable=False))
    map_image(symbol("__data_start"), symbol("__boot_tables_start"), memory_leaf(executable=False, writable=True))
    map_image(symbol("__boot_tables_start"), symbol("__boot_tables_end"), memory_leaf(executable=False, writable=False))
    map_image(symbol("__bss_start"), symbol("__end"), memory_leaf(executable=False, writable=True))
    for cpu in range(CONFIG_NR_CPUS):
        paddr = physical_address(address_of(stacks[cpu]))
        space.map(stack_top(u32(cpu)) - STACK_SIZE, paddr, STACK_SIZE, memory_leaf(executable=False, writable=True))
    root = physical_address(address_of(space.root))
    TTBR0_EL2.write(root)
    instruction_barrier()
    forget_hypervisor_here()
    complete_stores()
    instruction_barrier()
    return root


def map_image(start: u64, end: u64, leaf: Stage1Entry) -> None:
    space.map(start, physical_address(start), end - start, leaf)


def map_memory(start: Paddr, length: u64) -> None:
    """Shows the whole pages of a range of RAM in the direct map."""
    first = start + (PAGE_SIZE - 1) & ~PAGE_MASK
    end = start + length & ~PAGE_MASK
    if first < end:
        space.map(direct_address(Paddr(first)), first, end - first, memory_leaf(executable=False, writable=True))


def map_tree(tree: Paddr, length: u64) -> u64:
    """Shows a device tree before it can say where RAM is. Returns its address in the direct map.

    The boot protocol lets it be mapped in whole 2 MiB blocks (Linux Documentation/arch/arm64/booting.rst, 2).
    """
    first = tree & ~(BLOCK_2M - 1)
    map_memory(Paddr(first), (tree + length + (BLOCK_2M - 1) & ~(BLOCK_2M - 1)) - first)
    return direct_address(tree)


def map_device(paddr: Paddr, length: u64) -> u64:
    """Gives the pages of a device's registers an address, which is returned."""
    offset = paddr % BLOCK_2M
    first = paddr & ~PAGE_MASK
    pages = (paddr + length + (PAGE_SIZE - 1) & ~PAGE_MASK) - first
    address = space.devices_end + offset & ~PAGE_MASK  # as far from a block's start as the registers are, so that blocks fit
    assert address + pages <= STACKS, "no room for the registers of so many devices"
    space.map(address, first, pages, device_leaf())
    space.devices_end = address + pages + (BLOCK_2M - 1) & ~(BLOCK_2M - 1)
    return address + paddr % PAGE_SIZE


def memory_leaf(executable: bool, writable: bool) -> Stage1Entry:
    return Stage1Entry(
        memory=MemoryType.NORMAL,
        one=True,
        read_only=not writable,
        shareability=Shareability.INNER,
        accessed=True,
        never_execute=not executable,
    )


def device_leaf() -> Stage1Entry:
    return Stage1Entry(memory=MemoryType.DEVICE, one=True, accessed=True, never_execute=True)
