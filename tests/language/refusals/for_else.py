# refuse: 6: a loop has no `else`
from hv.lang import u32


def f() -> u32:
    for i in range(3):
        pass
    else:
        return 1
    return 0
