# refuse: 4: has no `nothing`
from hv.lang import u32

from hv.common.lib.ordered import nothing


def f() -> u32:
    return nothing
