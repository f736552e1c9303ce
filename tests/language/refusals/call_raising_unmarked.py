# refuse: 11: mark `f` @raises
from hv.lang import Errno, raises, u32


@raises
def g() -> u32:
    raise Errno.EINVAL


def f() -> u32:
    return g()
