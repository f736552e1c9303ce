"""PCI's configuration space in memory, where ACPI's MCFG says."""

from hv.common.drivers.acpi import acpi
from hv.common.drivers.acpi_tables import Mcfg
from hv.common.drivers.pci import configuration
from hv.common.kernel.log import debug, warning
from hv.common.mm.windows import windows
from hv.lang import Errno


def find_configuration_space() -> None:
    before = acpi.damaged
    for table in acpi.tables("MCFG"):
        for space in Mcfg(table):
            try:
                configuration.add(space, windows)
                debug(f"PCI segment {space.segment}, buses {space.first_bus} to {space.last_bus}: {space.base:#x}")
            except Errno as e:
                warning(
                    f"PCI segment {space.segment}, buses {space.first_bus} to {space.last_bus}: the configuration space"
                    f" at {space.base:#x} cannot be used: {e.name}"
                )
    if acpi.damaged != before:
        warning("ACPI's table of PCI's configuration space (MCFG) is damaged: what the ports reach is all that is seen")
