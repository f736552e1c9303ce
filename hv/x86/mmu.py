"""Building the hypervisor's address space (layout.py), on the boot CPU and before another one runs.

Its tables come from a static pool inside the image, since the heap's memory is reached through them. Nothing is ever
unmapped or changed. What is writable is never executable, and CR0.WP keeps the hypervisor from writing to what is read
only. Device registers are mapped as the drivers find them, at addresses that are handed out once.
"""

from hv.common.kernel.panic import panic
from hv.common.lib.span import Bytes
from hv.common.mm.early import early
from hv.common.mm.flush import TableSource
from hv.common.mm.format import Access, Attributes, Memory, Walker
from hv.common.mm.pagetable import PageTable
from hv.common.mm.physical import PhysicalMemory, RegisterWindows
from hv.common.mm.types import PAGE_SHIFT, PAGE_SIZE, Mfn, Paddr, mfn_of, paddr_of
from hv.lang import Errno, Final, address_of, aligned, array, bounded, ptr, raises, symbol, u8, u16, u32, u64, unbounded
from hv.x86.cpuid import features
from hv.x86.descriptors import idt
from hv.x86.layout import (
    DEVICES,
    EXCEPTION_STACK_SIZE,
    FIRMWARE,
    FIRMWARE_END,
    IMAGE,
    STACK_SIZE,
    STACKS,
    StackKind,
    direct_address,
    loaded,
    physical_address,
    stack_size,
    stack_top,
)
from hv.x86.longmode import LongMode
from hv.x86.sysreg import CR3

ENTRIES: Final = 512
TABLES: Final[u32] = 64
BLOCK_2M: Final[u64] = 0x20_0000
PAGE_MASK: Final[u64] = PAGE_SIZE - 1
MOST_SHOWN: Final[u64] = 1 << 27  # pages
NUMBERED: Final[u64] = (1 << 48) - 1  # what counts of an address: the rest repeats its highest bit

TEXT: Final = Attributes(access=Access.R | Access.X, memory=Memory.NORMAL)
CONSTANTS: Final = Attributes(access=Access.R, memory=Memory.NORMAL)
DATA: Final = Attributes(access=Access.R | Access.W, memory=Memory.NORMAL)
REGISTERS: Final = Attributes(access=Access.R | Access.W, memory=Memory.DEVICE)
PICTURE: Final = Attributes(access=Access.R | Access.W, memory=Memory.UNCACHED)


@aligned(4096)
class Table:
    entries: array[u64, ENTRIES]


@aligned(4096)
class Stack:
    bytes: array[u8, STACK_SIZE]


@aligned(4096)
class ExceptionStack:
    bytes: array[u8, EXCEPTION_STACK_SIZE]


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
boot_nmi_stack: Final = Stack()
boot_exception_stacks: Final[array[ExceptionStack, 2]] = array()
source: Final = StaticTables()
space: Final = PageTable[LongMode, ImageWalker]()
windows: Final = Windows()


@raises
def build(image: Paddr) -> None:
    """Makes the address space with the image and this CPU's stacks, and enters it. The other CPUs will find it in
    `hypervisor_root`. EEXIST, ENOMEM."""
    loaded.paddr = image
    windows.next = DEVICES
    space.init(source, 0)
    idt_start = address_of(idt)
    map_image(symbol("__text_start"), symbol("__text_end"), TEXT)
    map_image(symbol("__rodata_start"), symbol("__rodata_end"), CONSTANTS)
    map_image(symbol("__data_start"), symbol("__boot_tables_start"), DATA)
    map_image(symbol("__boot_tables_start"), symbol("__boot_tables_end"), CONSTANTS)
    map_image(symbol("__bss_start"), idt_start, DATA)
    map_image(idt_start, idt_start + PAGE_SIZE, CONSTANTS)
    map_image(idt_start + PAGE_SIZE, symbol("__end"), DATA)
    map_stack(0, StackKind.DOUBLE_FAULT, physical_address(address_of(boot_exception_stacks[0])))
    map_stack(0, StackKind.NMI, physical_address(address_of(boot_nmi_stack)))
    map_stack(0, StackKind.MACHINE_CHECK, physical_address(address_of(boot_exception_stacks[1])))
    map_stack(0, StackKind.MAIN, physical_address(address_of(boot_stack)))
    root = paddr_of(space.root)
    ptr[u64](symbol("hypervisor_root"))[0] = root
    CR3.write(root)


@raises
def map_image(start: u64, end: u64, attributes: Attributes) -> None:
    map_range(start, physical_address(start), end - start, attributes)


@raises
@unbounded("each step maps some of what is left")
def map_range(address: u64, paddr: Paddr, length: u64, attributes: Attributes) -> None:
    """Whole pages. EEXIST: something is mapped there. ENOMEM: no tables are left."""
    at = (address & NUMBERED) >> PAGE_SHIFT
    mfn = mfn_of(paddr)
    left = length >> PAGE_SHIFT
    while left != 0:
        flush = space.map(at, mfn, left, attributes)
        flush.flush()
        at += flush.done
        mfn = Mfn(mfn + flush.done)
        left -= flush.done


@raises
def map_stack(cpu: u32, kind: StackKind, stack: Paddr) -> None:
    """Gives a CPU a stack, above a hole. EEXIST: it has it already. ENOMEM."""
    size = stack_size(kind)
    map_range(stack_top(cpu, kind) - size, stack, size, DATA)


@raises
def map_memory(start: Paddr, end: Paddr) -> None:
    """Shows whole pages of RAM in the direct map. EEXIST, ENOMEM."""
    map_range(direct_address(start), start, end - start, DATA)


class FirmwareMemory(PhysicalMemory):
    """What firmware and the boot loader left, page by page as it is asked for. It stays visible."""

    pages: u64  # that are

    @raises
    def view(self, start: Paddr, length: u64) -> Bytes:
        """EINVAL: beyond what can be shown, or there are no tables left for it."""
        if start >= FIRMWARE_END - FIRMWARE or length > FIRMWARE_END - FIRMWARE - start:
            raise Errno.EINVAL
        first = start >> PAGE_SHIFT
        for i in bounded((start % PAGE_SIZE + length + PAGE_MASK) >> PAGE_SHIFT, MOST_SHOWN):
            if not self._show(Mfn(first + i)):
                raise Errno.EINVAL
        return Bytes(FIRMWARE + start, length)

    def _show(self, page: Mfn) -> bool:
        address = FIRMWARE + paddr_of(page)
        if space.lookup((address & NUMBERED) >> PAGE_SHIFT).present:
            return True
        try:
            map_range(address, paddr_of(page), PAGE_SIZE, CONSTANTS)
        except Errno:
            return False
        self.pages += 1
        return True


firmware: Final = FirmwareMemory()


@raises
def map_device(registers: Paddr, length: u64) -> u64:
    """Gives a device's registers an address, which is returned. EINVAL: there is memory, or nothing can be. ENOMEM."""
    return map_window(registers, length, REGISTERS)


@raises
def map_framebuffer(start: Paddr, length: u64) -> u64:
    """Gives a screen's memory an address, where stores are gathered. EINVAL: there is memory, or nothing can be.
    ENOMEM."""
    return map_window(start, length, PICTURE)


@raises
def map_window(wanted: Paddr, length: u64, attributes: Attributes) -> u64:
    """Maps the pages of `length` bytes from `wanted` at free addresses, and returns that of `wanted`. EINVAL: they
    would not end within what the CPU can address, or some are RAM. ENOMEM."""
    limit = u64(1) << features.address_bits
    if wanted >= limit or length > limit - wanted or early.ram.overlaps(wanted, Paddr(wanted + length)):
        raise Errno.EINVAL
    start = Paddr(wanted & ~PAGE_MASK)
    size = (wanted - start + length + PAGE_MASK) & ~PAGE_MASK
    address = windows.next + start % BLOCK_2M  # as far from a block's start as the page is, so that blocks fit
    if size > STACKS - address:
        raise Errno.ENOMEM
    windows.next = block_up(address + size)
    map_range(address, start, size, attributes)
    return address + (wanted - start)


def block_up(address: u64) -> u64:
    return (address + (BLOCK_2M - 1)) & ~(BLOCK_2M - 1)
