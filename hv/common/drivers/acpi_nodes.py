"""NUMA nodes as ACPI's SRAT has them: from proximity domains to `nodes`.

Memory that may be plugged in later counts as what is there: what is no RAM now matters to nobody. A table that gives
the same memory to two nodes, or more nodes than there is room for, is not believed in anything.
"""

from hv.common.drivers.acpi import acpi
from hv.common.drivers.acpi_tables import Srat
from hv.common.kernel.log import warning
from hv.common.mm.nodes import nodes
from hv.common.mm.types import Paddr
from hv.lang import Errno, Final, raises, u32, u64

HIGHEST: Final[u64] = 1 << 52  # no physical address is beyond it


srat: Final = Srat()
known: bool = False


def read_nodes() -> None:
    """Before the heap is started."""
    global known
    known = False
    if nodes.off:
        return
    try:
        srat.init(acpi.find("SRAT"))
    except Errno as e:
        if e is Errno.EINVAL:
            warning("ACPI's table of NUMA nodes (SRAT) is damaged: the machine counts as one node")
        return
    try:
        _take_all()
        known = True
    except Errno as e:
        warning(f"ACPI's table of NUMA nodes (SRAT) cannot be true: {e.name}; the machine counts as one node")
        nodes.forget()


@raises
def _take_all() -> None:
    """EEXIST: two nodes have the same memory. ENOSPC: too many nodes, or too scattered. EINVAL: beyond all memory."""
    for memory in srat.memory():
        if memory.bytes == 0:
            continue
        if memory.start >= HIGHEST or memory.bytes > HIGHEST - memory.start:
            raise Errno.EINVAL
        nodes.add_memory(memory.start, Paddr(memory.start + memory.bytes), memory.domain)
    for cpu in srat.cpus():
        nodes.name(cpu.domain)


def node_of_cpu(apic_id: u32) -> u32:
    """0 when the table does not say."""
    if known:
        for cpu in srat.cpus():
            if cpu.apic_id == apic_id:
                return nodes.number_of(cpu.domain)
    return 0
