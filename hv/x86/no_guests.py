"""What a build without guests says to a boot loader that hands some over."""

from hv.common.drivers.devicetree import tree
from hv.common.kernel.log import error, info
from hv.lang import Errno
from hv.x86.boot_information import BootInformation
from hv.x86.tree_module import find_tree


def refuse_descriptions(information: BootInformation) -> None:
    info("no guest can run here: guests need a build with CONFIG_HVM")
    try:
        if not find_tree(information):
            return
    except Errno as e:
        error(f"the module with the device tree cannot be used: {e.name}")
        return
    try:
        for node in tree.find("/chosen").children():
            if node.is_compatible("xen,domain"):
                error(f"{node.name}: guests need a build with CONFIG_HVM: the domain is not built")
    except Errno:
        return
