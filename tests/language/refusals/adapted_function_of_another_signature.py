# refuse: 29: `op` is (Request, Request) -> u64, and `adapter` adapts Callable[[Vcpu, A], u64]
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



def adapter(function: Callable[[Vcpu, A], u64], caller: Vcpu) -> u64:
    return 0


calls: Final = Adapted[Call](adapter)


@calls(5)
def op(caller: Request, request: Request) -> u64:
    return 0
