# refuse: 14: mark `f` @raises
from hv.lang import Errno, raises


@raises
def g() -> None:
    raise Errno.EINVAL


def f() -> None:
    try:
        g()
    except Errno:
        raise
