# refuse: 7: mark `f` @raises
from hv.lang import Errno, u32


def f(n: u32) -> None:
    if n == 0:
        raise Errno.EINVAL
