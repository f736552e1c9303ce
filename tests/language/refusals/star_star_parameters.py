# refuse: 5: star arguments: name each parameter
from hv.lang import u32


def f(**n: u32) -> None:
    pass
