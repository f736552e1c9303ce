# refuse: 7: `{y}` names no parameter
# module: hv.arm64.cpu
# target: arm64
from hv.lang import asm, u64


@asm("msr daif, {y}")
def f(x: u64) -> None: ...
