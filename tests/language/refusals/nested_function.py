# refuse: 6: functiondef is not in the language
from hv.lang import u32


def f() -> u32:
    def inner() -> u32:
        return 1

    return inner()
