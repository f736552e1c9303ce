# refuse: 11: a try has one `except Errno as e:`
from hv.lang import Errno, raises


@raises
def g() -> None:
    raise Errno.EINVAL


def f() -> None:
    try:
        g()
    except Errno:
        pass
    else:
        pass
