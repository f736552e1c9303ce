# refuse: 11: what must be released is a guard
from hv.lang import Errno, raises


@raises
def g() -> None:
    raise Errno.EINVAL


def f() -> None:
    try:
        g()
    finally:
        pass
