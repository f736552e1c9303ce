# refuse: 6: this function returns Never
from hv.lang import Never


def f() -> Never:
    return
