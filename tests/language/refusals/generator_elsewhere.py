# refuse: 6: a generator is expanded where `for` uses it
from hv.lang import u32


def f() -> u32:
    yield 1
