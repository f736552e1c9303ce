# refuse: 6: an f-string is only an argument for a parameter annotated Message
from hv.lang import u32, u64


def f(n: u32) -> u64:
    text = f"{n}"
    return len(text)
