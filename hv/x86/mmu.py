"""Building the hypervisor's address space (layout.py), on the boot CPU and before another one runs.

What is writable is never executable, and CR0.WP keeps the hypervisor from writing to what is read only. What is mapped
for a while has a window (hv/common/mm/address_space.py).
"""

from hv.common.lib.span import Bytes
from hv.common.mm.address_space import AddressSpace
from hv.common.mm.format import Attributes
from hv.common.mm.image_tables import ImageWalker, image_tables
from hv.common.mm.physical import PhysicalMemory
from hv.common.mm.types import PAGE_SHIFT, PAGE_SIZE, Mfn, Paddr, paddr_of
from hv.common.mm.windows import CONSTANTS, DATA, TEXT, windows
from hv.lang import Errno, Final, address_of, aligned, array, bounded, ptr, raises, symbol, u8, u32, u64
from hv.x86.cpuid import features
from hv.x86.descriptors import idt
from hv.x86.layout import (
    DEVICES,
    EXCEPTION_STACK_SIZE,
    FIRMWARE,
    FIRMWARE_END,
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

PAGE_MASK: Final[u64] = PAGE_SIZE - 1
MOST_SHOWN: Final[u64] = 1 << 27  # pages


@aligned(4096)
class Stack:
    bytes: array[u8, STACK_SIZE]


@aligned(4096)
class ExceptionStack:
    bytes: array[u8, EXCEPTION_STACK_SIZE]


boot_stack: Final = Stack()
boot_nmi_stack: Final = Stack()
boot_exception_stacks: Final[array[ExceptionStack, 2]] = array()
space: Final = AddressSpace[LongMode, ImageWalker]()


@raises
def build(image: Paddr) -> None:
    """Makes the address space with the image and this CPU's stacks, and enters it. The other CPUs will find it in
    `hypervisor_root`. EEXIST, ENOMEM."""
    loaded.paddr = image
    image_tables.init()
    space.init(image_tables, DEVICES, STACKS, Paddr(u64(1) << features.address_bits))
    windows.space = space
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
    ptr[u64](symbol("hypervisor_root"))[0] = space.root
    CR3.write(space.root)


@raises
def map_image(start: u64, end: u64, attributes: Attributes) -> None:
    space.place(start, physical_address(start), end - start, attributes)


@raises
def map_stack(cpu: u32, kind: StackKind, stack: Paddr) -> None:
    """Gives a CPU a stack, above a hole. EEXIST: it has it already. ENOMEM."""
    size = stack_size(kind)
    space.place(stack_top(cpu, kind) - size, stack, size, DATA)


def unmap_stack(cpu: u32, kind: StackKind) -> Mfn:
    """Takes a stack from a CPU that has never run. Returns the first of its frames."""
    size = stack_size(kind)
    bottom = stack_top(cpu, kind) - size
    mfn = space.lookup(bottom).mfn
    space.remove(bottom, size)
    return mfn


@raises
def map_memory(start: Paddr, end: Paddr) -> None:
    """Shows whole pages of RAM in the direct map. EEXIST, ENOMEM."""
    space.place(direct_address(start), start, end - start, DATA)


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
        if space.lookup(address).present:
            return True
        try:
            space.place(address, paddr_of(page), PAGE_SIZE, CONSTANTS)
        except Errno:
            return False
        self.pages += 1
        return True


firmware: Final = FirmwareMemory()
