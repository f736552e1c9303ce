"""The device tree among the boot loader's modules: the one that begins with its magic number. It names the others by
their place in the loader's list (`mb-index`).
"""

from hv.common.builder.boot_modules import boot_modules
from hv.common.builder.module import Module
from hv.common.drivers.devicetree import tree
from hv.lang import Final, raises, u32
from hv.x86.boot_information import BootInformation

MAGIC: Final[u32] = 0xD00D_FEED


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
