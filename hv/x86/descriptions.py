"""The guests that the boot loader's modules describe."""

from hv.common.builder.dom0less import read_domains
from hv.common.builder.loader import loading
from hv.common.kernel.log import error
from hv.config import CONFIG_BZIMAGE
from hv.lang import Errno, u32
from hv.x86.boot_information import BootInformation
from hv.x86.pvh_loader import pvh_loader
from hv.x86.tree_module import find_tree

if CONFIG_BZIMAGE:
    from hv.x86.packed_kernel import unpacker


def read_descriptions(information: BootInformation, cpus: u32) -> None:
    """When ACPI has told how many CPUs the machine has."""
    loading.loader = pvh_loader
    if CONFIG_BZIMAGE:
        unpacker.find_program()
    try:
        if find_tree(information):
            read_domains(cpus)
    except Errno as e:
        error(f"the module with the device tree cannot be used: {e.name}")
