# refuse: 7: a linker symbol is named by a constant text: symbol("name")
# module: hv.sim.machine
from hv.lang import symbol


def f(s: str) -> None:
    x = symbol(s)
