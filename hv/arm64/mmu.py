"""Building the hypervisor's address space (layout.py), on the boot CPU and before another one runs.

What is writable is never executable; SCTLR_EL2.WXN enforces that as well. What is mapped for a while has a window
(hv/common/mm/address_space.py).
"""

from hv.arm64.cpu import complete_stores, forget_hypervisor_here, instruction_barrier
from hv.arm64.layout import DEVICES, STACK_SIZE, STACKS, direct_address, loaded, physical_address, stack_top
from hv.arm64.stage1 import Stage1
from hv.arm64.sysreg import TTBR0_EL2
from hv.common.lib.fdt import AT_TOTAL_SIZE, HEADER_SIZE, MAX_SIZE
from hv.common.lib.span import Bytes
from hv.common.mm.address_space import AddressSpace
from hv.common.mm.format import Attributes
from hv.common.mm.image_tables import ImageWalker, image_tables
from hv.common.mm.types import Mfn, Paddr
from hv.common.mm.windows import CONSTANTS, DATA, TEXT, windows
from hv.lang import Errno, Final, address_of, aligned, array, ptr, raises, symbol, u8, u32, u64

PHYSICAL_LIMIT: Final = Paddr(1 << 48)  # of what entries can name (Arm DDI 0487, "Translation table descriptors")


@aligned(4096)
class Stack:
    bytes: array[u8, STACK_SIZE]


boot_stack: Final = Stack()
space: Final = AddressSpace[Stage1, ImageWalker]()


@raises
def build(image: Paddr) -> None:
    """Makes the address space with the image and this CPU's stack, and enters it. The other CPUs will find it in
    `hypervisor_root`. EEXIST, ENOMEM."""
    loaded.paddr = image
    image_tables.init()
    space.init(image_tables, DEVICES, STACKS, PHYSICAL_LIMIT)
    windows.space = space
    map_image(symbol("__text_start"), symbol("__text_end"), TEXT)
    map_image(symbol("__rodata_start"), symbol("__rodata_end"), CONSTANTS)
    map_image(symbol("__data_start"), symbol("__boot_tables_start"), DATA)
    map_image(symbol("__boot_tables_start"), symbol("__boot_tables_end"), CONSTANTS)
    map_image(symbol("__bss_start"), symbol("__end"), DATA)
    map_stack(0, physical_address(address_of(boot_stack)))
    ptr[u64](symbol("hypervisor_root"))[0] = space.root
    TTBR0_EL2.write(space.root)
    instruction_barrier()
    forget_hypervisor_here()
    complete_stores()
    instruction_barrier()


@raises
def map_image(start: u64, end: u64, attributes: Attributes) -> None:
    space.place(start, physical_address(start), end - start, attributes)


@raises
def map_stack(cpu: u32, stack: Paddr) -> None:
    """Gives a CPU its stack of STACK_SIZE bytes, above a hole. EEXIST: it has one. ENOMEM."""
    space.place(stack_top(cpu) - STACK_SIZE, stack, STACK_SIZE, DATA)


def unmap_stack(cpu: u32) -> Mfn:
    """Takes the stack from a CPU that has never run. Returns the first of its frames."""
    bottom = stack_top(cpu) - STACK_SIZE
    mfn = space.lookup(bottom).mfn
    space.remove(bottom, STACK_SIZE)
    return mfn


@raises
def map_memory(start: Paddr, end: Paddr) -> None:
    """Shows whole pages of RAM in the direct map. EEXIST, ENOMEM."""
    space.place(direct_address(start), start, end - start, DATA)


@raises
def map_tree(tree: Paddr) -> Bytes:
    """Shows a device tree, to be read only, before it can say where RAM is. EINVAL: its header is none. ENOMEM."""
    size = _tree_size(space.map(tree, HEADER_SIZE, CONSTANTS))
    if size < HEADER_SIZE or size > MAX_SIZE:
        raise Errno.EINVAL
    return Bytes(space.map(tree, size, CONSTANTS), size)


def _tree_size(header: u64) -> u64:
    """As it says at an address, where it is seen no longer behind this."""
    size = u64(Bytes(header, HEADER_SIZE).be32(AT_TOTAL_SIZE))
    space.unmap(header)
    return size
