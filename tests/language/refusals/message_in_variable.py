# refuse: 6: an f-string is only an argument
from hv.lang import u32


def f(n: u32) -> None:
    message: str = f"n is {n}"
