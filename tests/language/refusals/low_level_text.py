# refuse: 7: `str_at` is a low-level word
# module: hv.example
from hv.lang import str_at, u64


def f(address: u64) -> u64:
    return len(str_at(address, 4))
