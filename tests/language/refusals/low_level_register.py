# refuse: 5: `SystemRegister` is a low-level word
# module: hv.example
from hv.lang import Final, SystemRegister

ESR: Final = SystemRegister("esr_el2")
