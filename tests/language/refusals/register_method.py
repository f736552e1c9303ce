# refuse: 8: read() and write(x)
from hv.lang import Final, SystemRegister, u64

ESR: Final = SystemRegister("esr_el2")


def f() -> u64:
    return ESR.load()
