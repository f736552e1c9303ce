# refuse: 5: None in a tuple: it holds values and references
from hv.lang import u32


def f(a: tuple[u32, None]) -> None:
    pass
