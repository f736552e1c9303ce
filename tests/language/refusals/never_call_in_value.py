# refuse: 10: returns nothing
from hv.lang import Never, u32


def g() -> Never:
    assert False, "no"


def f() -> u32:
    return g()
