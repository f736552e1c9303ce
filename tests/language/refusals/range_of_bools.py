# refuse: 6: a loop counts integers, not bool
from hv.lang import u32


def f() -> None:
    for i in range(True):
        pass
