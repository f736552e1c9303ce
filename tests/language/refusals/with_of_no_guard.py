# refuse: 6: takes a lock or a guard
from hv.lang import u32


def f(n: u32) -> None:
    with n:
        pass
