# refuse: 6: a `-> Never` function does not return
from hv.lang import Never, u32


def f() -> Never:
    return 5
