# refuse: 7: u32 has no address
# module: hv.sim.machine
from hv.lang import address_of, u32


def f(n: u32) -> None:
    x = address_of(n)
