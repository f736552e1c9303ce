"""The guests that the boot loader's modules describe: a device tree is the module that begins with its magic number,
and names the others by their place in the loader's list (`mb-index`).
"""

from hv.common.builder.boot_modules import boot_modules
from hv.common.builder.description import Module
from hv.common.builder.dom0less import read_domains
from hv.common.builder.loader import loading
from hv.common.drivers.devicetree import tree
from hv.common.kernel.log import error
from hv.config import CONFIG_BZIMAGE
from hv.lang import Errno, Final, raises, u32
from hv.x86.boot_information import BootInformation
from hv.x86.pvh_loader import pvh_loader

if CONFIG_BZIMAGE:
    from hv.x86.packed_kernel import unpacker

MAGIC: Final[u32] = 0xD00D_FEED


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


@raises
def find_tree(information: BootInformation) -> bool:
    """False: no module is one. EINVAL, ENOSPC."""
    found = False
    for module in information.each_module():
        own = Module(module.start, module.bytes)
        boot_modules.add(own)
        if not found and own.bytes >= 8 and own.contents.be32(0) == MAGIC:
            tree.init(own.contents)
            found = True
    return found
