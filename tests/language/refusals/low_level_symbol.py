# refuse: 7: `symbol` is a low-level word
# module: hv.example
from hv.lang import symbol, u64


def f() -> u64:
    return symbol("__text_start")
