# refuse: 6: u32 has no method `run`
from hv.lang import u32


def f(x: u32) -> None:
    x.run()
