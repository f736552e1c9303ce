"""How the machine's CPUs are started, as their nodes in the device tree say.

Sources: Linux Documentation/devicetree/bindings/arm/cpus.yaml; Devicetree Specification 0.4, 3.8 (what is the same for
all CPUs may stand in /cpus).
"""

from hv.common.lib.fdt import Node, Property
from hv.common.mm.types import Paddr
from hv.lang import Errno, Final, U8Enum, raises, u64

RELEASE_ALIGNMENT: Final[u64] = 8


class StartMethod(U8Enum):
    PSCI = 0
    SPIN_TABLE = 1
    OTHER = 2


@raises
def start_method(node: Node) -> StartMethod:
    """PSCI where the tree does not say. ENOENT: the node is the root."""
    method = of_cpu(node, "enable-method")
    if method.lists("psci") or not method.found:
        return StartMethod.PSCI
    return StartMethod.SPIN_TABLE if method.lists("spin-table") else StartMethod.OTHER


@raises
def release_address(node: Node) -> Paddr:
    """Of a CPU that a spin table starts: the word where it waits for its entry point. EINVAL: none, or malformed."""
    address = of_cpu(node, "cpu-release-addr").integer()
    if address == 0 or address % RELEASE_ALIGNMENT != 0:
        raise Errno.EINVAL
    return Paddr(address)


@raises
def of_cpu(node: Node, name: str) -> Property:
    """A property of the CPU, or else of all CPUs. ENOENT: the node is the root."""
    own = node.property(name)
    return own if own.found else node.parent().property(name)
