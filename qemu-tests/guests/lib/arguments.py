"""The guest's command line: /chosen/bootargs in its device tree, words of the form name=number."""

from hv.common.lib.fdt import Fdt
from hv.common.lib.parse import Fields, number
from hv.common.lib.span import Bytes
from hv.lang import Errno, Final, raises, u64

LARGEST: Final[u64] = 0x20_0000  # bytes of a tree

tree: Final = Fdt()


def argument(address: u64, name: str, otherwise: u64) -> u64:
    """`address` is the tree's. `otherwise`: what counts when the command line does not say."""
    try:
        return _argument(address, name, otherwise)
    except Errno:
        return otherwise


@raises
def _argument(address: u64, name: str, otherwise: u64) -> u64:
    tree.init(Bytes(address, LARGEST))
    line = tree.find("/chosen").property("bootargs").string()
    for word in Fields(line, " "):
        if word.startswith(name) and len(word) > len(name) and word[len(name)] == "=":
            return number(word[len(name) + 1 :])
    return otherwise
