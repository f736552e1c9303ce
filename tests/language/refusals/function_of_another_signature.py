# refuse: 14: is wanted
from hv.lang import Callable, u32, u64


def g(n: u64) -> None:
    pass


class Timer:
    handler: Callable[[u32], None]


def f(timer: Timer) -> None:
    timer.handler = g
