# refuse: 25: the Duty in `duty` is left unused
from hv.lang import Errno, bounded, must_use, raises, u32, value


@must_use
@value
class Duty:
    n: u32

    def do(self) -> u32:
        return self.n


def made() -> Duty:
    return Duty(1)


@raises
def failing() -> None:
    raise Errno.EINVAL


def f(x: u32) -> None:
    duty = made()
    if x != 0:
        duty.do()
