"""Properties that a description has to have: read, or told of as a mistake."""

from hv.common.builder.mistake import Mistake
from hv.common.lib.fdt import Node, Property
from hv.lang import Errno, bounded, raises, u32


@raises
def wanted_property(mistake: Mistake, node: Node, where: str, name: str) -> Property:
    """`where` is as in `Mistake.wrong`. EINVAL: it is missing."""
    found = node.property(name)
    if not found.found:
        mistake.wrong(where, name, "is missing")
        raise Errno.EINVAL
    return found


@raises
def wanted_cell(mistake: Mistake, node: Node, where: str, name: str) -> u32:
    """EINVAL: it is missing, or not one cell."""
    found = wanted_property(mistake, node, where, name)
    if found.bytes.length != 4:
        mistake.wrong(where, name, "is not one number, of one cell")
        raise Errno.EINVAL
    return found.cell()


@raises
def wanted_text(mistake: Mistake, node: Node, where: str, name: str) -> str:
    """EINVAL: it is missing, or no text."""
    found = wanted_property(mistake, node, where, name)
    try:
        return found.string()
    except Errno:
        mistake.wrong(where, name, "is no text")
        raise


@raises
def wanted_name(mistake: Mistake, node: Node, where: str, name: str) -> str:
    """A text that lines may repeat. EINVAL: it is missing, no text, or has characters that break a line."""
    text = wanted_text(mistake, node, where, name)
    for i in bounded(len(text), 1 << 32):
        if ord(text[i]) < 0x20 or ord(text[i]) == 0x7F:
            mistake.wrong(where, name, "has characters that cannot be printed")
            raise Errno.EINVAL
    return text
