"""Colours of the last cache that a domain's memory is to have: `llc-colors`, such as "0-3,8".

Binding: Xen, docs/misc/arm/device-tree/booting.txt. Not of Xen's is `constrictor,llc-colors` of /chosen: how many
colours the last cache has, where its tree of caches would not tell.
"""

from hv.common.builder.description import Description, descriptions
from hv.common.builder.mistake import Mistake
from hv.common.builder.wanted import wanted_name
from hv.common.kernel.log import error, info
from hv.common.lib.fdt import Node
from hv.common.lib.parse import cpu_list
from hv.common.mm.coloring import coloring
from hv.common.mm.early import is_early
from hv.common.mm.types import PAGE_SHIFT
from hv.lang import Errno, Final, raises, u64

COLORS: Final = "llc-colors"
COUNT: Final = "constrictor,llc-colors"


@raises
def read_colors(mistake: Mistake, node: Node, description: Description) -> None:
    """Those of a domain whose static memory has been read. EINVAL: the mistake tells."""
    count = coloring.count()
    if not is_early():
        mistake.wrong("", COLORS, "asks for what is not offered on this architecture")
    elif coloring.off:
        mistake.wrong("", COLORS, "asks for colours, which llc-coloring=off on the command line forbids")
    elif description.set_aside.count != 0:
        mistake.wrong("", COLORS, 'asks for colours, and memory of "xen,static-mem" has those of its addresses')
    elif count < 2:
        mistake.wrong(
            "",
            COLORS,
            "asks for colours of the last cache, and how many it has is not known: "
            "write llc-size= and llc-nr-ways= on the command line",
        )
    else:
        listed = wanted_name(mistake, node, "", COLORS)
        members = description.colors.members
        try:
            cpu_list(listed, members)
        except Errno:
            mistake.wrong("", COLORS, 'is no list of colours, such as "0-3,8"')
            raise
        beyond = members.first_set(count)
        if beyond == members.size:
            return
        mistake.wrong("", COLORS, f"names colour {beyond}: the last cache has 0 to {count - 1}")
    raise Errno.EINVAL


def read_color_count(chosen: Node) -> None:
    """Before the domains."""
    if not chosen.has(COUNT):
        return
    try:
        count = chosen.property(COUNT).cell(0)
        if count == 0 or count & (count - 1) != 0:
            raise Errno.EINVAL
        coloring.told = u64(count) << PAGE_SHIFT
    except Errno:
        error(f'{chosen.name}: property "{COUNT}" is no power of two: it does not count')


def begin_colors() -> None:
    """Behind the domains: colours matter when one of them asks for some."""
    for description in descriptions:
        if not description.colors.is_empty:
            coloring.begin()
            info(f"the last cache has {coloring.in_use} colours")
            return
