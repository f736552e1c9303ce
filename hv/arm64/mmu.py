"""Building the hypervisor's address space (layout.py), on the boot CPU and before another one runs.

Its tables come from a static pool inside the image, since the heap's memory is reached through them. Nothing is ever
unmapped or changed. What is writable is never executable; SCTLR_EL2.WXN enforces that as well.
Device registers are mapped as the drivers find them, at addresses that are handed out once.
"""

from hv.arm64.cpu import complete_stores, forget_hypervisor_here, instruction_barrier
from hv.arm64.layout import DEVICES, IMAGE, STACK_SIZE, STACKS, direct_address, loaded, physical_address, stack_top
from hv.arm64.stage1 import Stage1
from hv.arm64.sysreg import TTBR0_EL2
from hv.common.kernel.panic import panic
from hv.common.lib.fdt import AT_TOTAL_SIZE, HEADER_SIZE, MAX_SIZE
from hv.common.lib.span import Bytes
from hv.common.mm.flush import TableSource
from hv.common.mm.format import Access, Attributes, Memory, Walker
from hv.common.mm.pagetable import PageTable
from hv.common.mm.physical import RegisterWindows
from hv.common.mm.types import PAGE_SHIFT, PAGE_SIZE, Mfn, Paddr, mfn_of, paddr_of
from hv.lang import Errno, Final, address_of, aligned, array, ptr, raises, symbol, u8, u16, u32, u64, unbounded

ENTRIES: Final = 512
TABLES: Final[u32] = 64
BLOCK_2M: Final[u64] = 0x20_0000
PAGE_MASK: Final[u64] = PAGE_SIZE - 1

TEXT: Final = Attributes(access=Access.R | Access.X, memory=Memory.NORMAL)
CONSTANTS: Final = Attributes(access=Access.R, memory=Memory.NORMAL)
DATA: Final = Attributes(access=Access.R | Access.W, memory=Memory.NORMAL)
REGISTERS: Final = Attributes(access=Access.R | Access.W, memory=Memory.DEVICE)


@aligned(4096)
class Table:
    entries: array[u64, ENTRIES]


@aligned(4096)
class Stack:
    bytes: array[u8, STACK_SIZE]


class StaticTables(TableSource):
    """Tables that lie in the image. They are all zero at first, and none comes back."""

    tables: array[Table, TABLES]
    used: u32

    @raises
    def allocate(self, order: u32) -> Mfn:
        """ENOMEM: the machine's memory map is more scattered than the pool allows for."""
        if order != 0 or self.used == TABLES:
            raise Errno.ENOMEM
        table = self.tables[self.used]
        self.used += 1
        return mfn_of(physical_address(address_of(table)))

    def free(self, mfn: Mfn, order: u32) -> None:
        panic("the hypervisor's own tables stay")


class ImageWalker(Walker):
    """The MMU, as it walks tables that lie in the image. Nothing is changed, so nothing has to be forgotten."""

    @staticmethod
    def view(table: Mfn) -> u64:
        return paddr_of(table) - loaded.paddr + IMAGE

    @staticmethod
    def snoops() -> bool:
        return True

    @staticmethod
    def caches_absent() -> bool:
        return False

    @staticmethod
    def invalidate(root: Mfn, tag: u16, start: u64, frames: u64, order: u32) -> None:
        panic("the hypervisor's own mappings stay")


class Windows(RegisterWindows):
    """The addresses for registers, of which those from `next` on are free."""

    next: u64

    @raises
    def map(self, registers: Paddr, length: u64) -> u64:
        return map_device(registers, length)


boot_stack: Final = Stack()
source: Final = StaticTables()
space: Final = PageTable[Stage1, ImageWalker]()
windows: Final = Windows()


@raises
def build(image: Paddr) -> None:
    """Makes the address space with the image and this CPU's stack, and enters it. The other CPUs will find it in
    `hypervisor_root`. EEXIST, ENOMEM."""
    loaded.paddr = image
    windows.next = DEVICES
    space.init(source, 0)
    map_image(symbol("__text_start"), symbol("__text_end"), TEXT)
    map_image(symbol("__rodata_start"), symbol("__rodata_end"), CONSTANTS)
    map_image(symbol("__data_start"), symbol("__boot_tables_start"), DATA)
    map_image(symbol("__boot_tables_start"), symbol("__boot_tables_end"), CONSTANTS)
    map_image(symbol("__bss_start"), symbol("__end"), DATA)
    map_stack(0, physical_address(address_of(boot_stack)))
    root = paddr_of(space.root)
    ptr[u64](symbol("hypervisor_root"))[0] = root
    TTBR0_EL2.write(root)
    instruction_barrier()
    forget_hypervisor_here()
    complete_stores()
    instruction_barrier()


@raises
def map_image(start: u64, end: u64, attributes: Attributes) -> None:
    map_range(start, physical_address(start), end - start, attributes)


@raises
@unbounded("each step maps some of what is left")
def map_range(address: u64, paddr: Paddr, length: u64, attributes: Attributes) -> None:
    """Whole pages. EEXIST: something is mapped there. ENOMEM: no tables are left."""
    at = address >> PAGE_SHIFT
    mfn = mfn_of(paddr)
    left = length >> PAGE_SHIFT
    while left != 0:
        flush = space.map(at, mfn, left, attributes)
        flush.flush()
        at += flush.done
        mfn = Mfn(mfn + flush.done)
        left -= flush.done


@raises
def map_stack(cpu: u32, stack: Paddr) -> None:
    """Gives a CPU its stack of STACK_SIZE bytes, above a hole. EEXIST: it has one. ENOMEM."""
    map_range(stack_top(cpu) - STACK_SIZE, stack, STACK_SIZE, DATA)


@raises
def map_memory(start: Paddr, end: Paddr) -> None:
    """Shows whole pages of RAM in the direct map. EEXIST, ENOMEM."""
    map_range(direct_address(start), start, end - start, DATA)


@raises
def map_tree(tree: Paddr) -> Bytes:
    """Shows a device tree, to be read only, before it can say where RAM is. EINVAL: its header is none. ENOMEM.

    The boot protocol lets it be mapped in whole 2 MiB blocks (Linux Documentation/arch/arm64/booting.rst, 2).
    """
    end = block_up(tree + HEADER_SIZE)
    address = map_window(Paddr(block_down(tree)), end, tree, CONSTANTS)
    size = u64(Bytes(address, HEADER_SIZE).be32(AT_TOTAL_SIZE))
    if size < HEADER_SIZE or size > MAX_SIZE:
        raise Errno.EINVAL
    if tree + size > end:  # windows of whole blocks adjoin
        map_window(Paddr(end), block_up(tree + size), Paddr(end), CONSTANTS)
    return Bytes(address, size)


@raises
def map_device(registers: Paddr, length: u64) -> u64:
    """Gives a device's registers an address, which is returned. ENOMEM."""
    return map_window(
        Paddr(registers & ~PAGE_MASK), (registers + length + PAGE_MASK) & ~PAGE_MASK, registers, REGISTERS
    )


@raises
def map_word(paddr: Paddr) -> u64:
    """Shows eight bytes of memory that may lie outside what the tree describes as RAM. ENOMEM."""
    page = Paddr(paddr & ~PAGE_MASK)
    return map_window(page, page + PAGE_SIZE, paddr, DATA)


@raises
def map_window(start: Paddr, end: u64, wanted: Paddr, attributes: Attributes) -> u64:
    """Maps the pages start … end - 1 at free addresses, and returns that of `wanted`. ENOMEM."""
    address = windows.next + start % BLOCK_2M  # as far from a block's start as the page is, so that blocks fit
    length = end - start
    if length > STACKS - address:
        raise Errno.ENOMEM
    windows.next = block_up(address + length)
    map_range(address, start, length, attributes)
    return address + (wanted - start)


def block_down(address: u64) -> u64:
    return address & ~(BLOCK_2M - 1)


def block_up(address: u64) -> u64:
    return block_down(address + (BLOCK_2M - 1))
