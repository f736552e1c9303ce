# refuse: 22: `adapter` makes Callable[[u32], u64], Callable[[Vcpu], u64] is wanted
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



def adapter(function: Callable[[Vcpu, A], u64], caller: u32) -> u64:
    return 0


calls: Final = Adapted[Call](adapter)


@calls(5)
def op(caller: Vcpu, request: Request) -> u64:
    return 0
