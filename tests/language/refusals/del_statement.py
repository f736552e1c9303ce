# refuse: 6: delete is not in the language
from hv.lang import u32


def f(n: u32) -> None:
    del n
