# refuse: 10: Atomic has no `increment`
from hv.lang import Atomic, u32


class Lock:
    count: Atomic[u32]


def f(lock: Lock) -> None:
    lock.count.increment()
