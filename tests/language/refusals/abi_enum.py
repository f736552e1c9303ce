# refuse: 11: `state: State` in a class marked @abi
from hv.lang import U32Enum, abi


class State(U32Enum):
    OFF = 0


@abi("xen/x.h", "x")
class Request:
    state: State
