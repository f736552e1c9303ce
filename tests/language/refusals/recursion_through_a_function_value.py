# refuse: 9: recursion
from hv.lang import Callable, Final, u32


class Timer:
    handler: Callable[[u32], None]


def fire(timer: Timer, n: u32) -> None:
    timer.handler(n)


timer: Final = Timer()


def expired(n: u32) -> None:
    fire(timer, n)


def start() -> None:
    timer.handler = expired
