# refuse: 7: no Errno.EWHATEVER
from hv.lang import Errno, raises


@raises
def f() -> None:
    raise Errno.EWHATEVER
