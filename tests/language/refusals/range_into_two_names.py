# refuse: 6: this loop yields one number
from hv.lang import u32


def f() -> None:
    for i, j in range(5):
        pass
