# refuse: 13: nothing else is raised
from hv.lang import Errno, raises


@raises
def g() -> None:
    raise Errno.EINVAL


def f() -> None:
    try:
        g()
    except:
        pass
