# refuse: 15: that does not raise can be a value
from hv.lang import Callable, Errno, raises, u32


@raises
def g(n: u32) -> None:
    raise Errno.EINVAL


class Timer:
    handler: Callable[[u32], None]


def f(timer: Timer) -> None:
    timer.handler = g
