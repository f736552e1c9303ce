# refuse: 10: may be None here: test it first
from hv.lang import Callable, u32


class Timer:
    handler: Callable[[u32], None] | None


def f(timer: Timer) -> None:
    timer.handler(1)
