# refuse: 5: write Callable[[u32, str], None]
from hv.lang import Callable


def f(x: Callable[None]) -> None:
    pass


def g() -> None:
    pass
