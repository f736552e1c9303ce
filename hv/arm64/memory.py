"""From the device tree to the heap: RAM in the direct map, and all that nobody has given to allocators."""

from hv.arm64.guest_places import arm64_parts, find_places
from hv.arm64.layout import image_bytes, loaded
from hv.arm64.mmu import map_memory
from hv.common.builder.dom0less import read_domains
from hv.common.builder.guest_parts import guest_machine
from hv.common.builder.image_loader import image_loader
from hv.common.builder.loader import loading
from hv.common.drivers.devicetree import add_memory, machine_cpus, reserve_memory
from hv.common.drivers.tree_nodes import read_nodes
from hv.common.mm.early import early, start_heap
from hv.common.mm.types import Paddr
from hv.common.mm.windows import windows
from hv.config import CONFIG_LLC_COLORING, CONFIG_PASSTHROUGH, CONFIG_SMMUV3
from hv.lang import raises, u64

if CONFIG_LLC_COLORING:
    from hv.arm64.caches import last_way
    from hv.common.mm.coloring import coloring
if CONFIG_PASSTHROUGH:
    from hv.arm64.devices import arm64_devices
    from hv.common.builder.device_machine import device_machines
if CONFIG_SMMUV3:
    from hv.arm64.smmuv3 import find_iommus


@raises
def start_memory(tree: Paddr, tree_bytes: u64) -> None:
    """EINVAL: the tree is malformed. ENOSPC, E2BIG, EEXIST, ENOMEM: memory is too scattered, or too little."""
    add_memory()
    read_nodes()
    reserve_memory()
    image_end = Paddr(loaded.paddr + image_bytes())
    early.reserve(loaded.paddr, image_end)
    early.reserve(tree, Paddr(tree + tree_bytes))
    for bank in early.ram:
        # The image has mappings of its own: through the direct map its constants and code would be writable.
        map_memory(bank.start, min(bank.end, max(bank.start, loaded.paddr)))
        map_memory(max(bank.start, min(bank.end, image_end)), bank.end)
    loading.loader = image_loader
    find_places()
    guest_machine.parts = arm64_parts
    if CONFIG_LLC_COLORING:
        coloring.way = last_way()
    if CONFIG_PASSTHROUGH:
        device_machines.machine = arm64_devices
    if CONFIG_SMMUV3:
        find_iommus(windows)
    read_domains(machine_cpus())
    start_heap()
