# refuse: 6: `break` and `continue` belong in a loop: write `return` to leave the function
from hv.lang import u32


def f() -> u32:
    break
    return 0
