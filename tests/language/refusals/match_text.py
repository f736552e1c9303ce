# refuse: 6: takes an integer or an enum member
from hv.lang import u32


def f(text: str) -> u32:
    match text:
        case "a":
            return 1
        case _:
            return 2
