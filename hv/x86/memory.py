"""From the memory map to the heap: RAM in the direct map, and all that nobody has given to allocators."""

from hv.common.mm.early import early, start_heap
from hv.common.mm.types import PAGE_SIZE, Paddr
from hv.lang import raises
from hv.x86.boot_information import BootInformation
from hv.x86.layout import image_bytes, loaded
from hv.x86.mmu import map_memory
from hv.x86.smp import reserve_trampoline


@raises
def start_memory(information: BootInformation) -> None:
    """ENOSPC, E2BIG, EEXIST, ENOMEM: memory is too scattered, or too little."""
    information.map.tell(early)
    early.reserve(Paddr(0), Paddr(PAGE_SIZE))  # firmware looks there, and a frame 0 would look like none
    image_end = Paddr(loaded.paddr + image_bytes())
    early.reserve(loaded.paddr, image_end)
    for module in information.each_module():
        early.reserve(module.start, Paddr(module.start + module.bytes))
    for bank in early.ram:
        # The image has mappings of its own: through the direct map its constants and code would be writable.
        map_memory(bank.start, min(bank.end, max(bank.start, loaded.paddr)))
        map_memory(max(bank.start, min(bank.end, image_end)), bank.end)
    reserve_trampoline()
    start_heap()
