# refuse: 6: str is no integer
from hv.lang import u64


def f(a: str, b: str) -> u64:
    return len(a + b)
