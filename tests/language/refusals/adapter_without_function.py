# refuse: 26: Adapted[Entry](adapter) takes a generic function whose first parameter is the function to adapt
from hv.lang import Adapted, Callable, Final, Registry, TypeVar, raises, u32, u64, value

A = TypeVar("A")


class Vcpu:
    id: u32


class Request:
    n: u32


@value
class Call:
    number: u32
    perform: Callable[[Vcpu], u64]



def adapter(caller: Vcpu) -> u64:
    return 0


calls: Final = Adapted[Call](adapter)
