# refuse: 15: a guard is bound to a name: `with … as name:`
from hv.lang import u32


class Lock:
    id: u32

    def __enter__(self) -> u32:
        return 5

    def __exit__(self, *_: object) -> None: ...


def f(lock: Lock) -> None:
    with lock as lock.id:
        pass
