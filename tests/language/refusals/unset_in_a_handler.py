# refuse: 14: `n` may be unset here
from hv.lang import Errno, raises, u32


@raises
def failing() -> u32:
    raise Errno.EINVAL


def f() -> u32:
    try:
        n = failing()
    except Errno:
        return n
    return n
