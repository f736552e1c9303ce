# refuse: 9: a loop cannot hold an atomic: reach each by its index
# module: hv.common.kernel.softirq
from hv.lang import Atomic, Final, array, u32

table: Final[array[Atomic[u32], 2]] = array()


def f() -> None:
    for x in table:
        pass
