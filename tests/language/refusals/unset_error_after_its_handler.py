# refuse: 14: `e` may be unset here
from hv.lang import Errno, raises, u32


@raises
def failing() -> None:
    raise Errno.EINVAL


def f() -> u32:
    try:
        failing()
    except Errno as e: pass
    return u32(e.code)
