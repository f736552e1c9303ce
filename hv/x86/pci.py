"""PCI's configuration space in memory, where ACPI's MCFG says."""

from hv.common.drivers.acpi import acpi
from hv.common.drivers.acpi_tables import Mcfg
from hv.common.drivers.pci import configuration
from hv.common.kernel.log import debug, warning
from hv.common.mm.early import early
from hv.common.mm.types import Paddr
from hv.lang import Errno, u64
from hv.x86.mmu import windows


def find_configuration_space() -> None:
    for table in acpi.tables("MCFG"):
        for space in Mcfg(table):
            end = Paddr(space.base + (u64(space.last_bus) + 1 << 20))
            try:
                if end < space.base or early.ram.overlaps(space.base, end):
                    raise Errno.EINVAL
                configuration.add(space, windows)
                debug(f"PCI segment {space.segment}, buses {space.first_bus} to {space.last_bus}: {space.base:#x}")
            except Errno as e:
                warning(
                    f"PCI segment {space.segment}, buses {space.first_bus} to {space.last_bus}: the configuration space"
                    f" at {space.base:#x} cannot be used: {e.name}"
                )
