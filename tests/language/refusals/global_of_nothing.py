# refuse: 7: `global missing` names no module variable
from hv.lang import u32


def f() -> None:
    global missing
    missing = 5
