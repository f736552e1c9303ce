# refuse: 16: the Duty that this returns is dropped
from hv.lang import must_use, u32, value


@must_use
@value
class Duty:
    n: u32


def made() -> tuple[u32, Duty]:
    return 1, Duty(1)


def f() -> None:
    n, _ = made()
