# refuse: 24: this may raise: mark `adapter` @raises
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
    request = A()
    return function(caller, request)


calls: Final = Adapted[Call](adapter)


@calls(5)
@raises
def op(caller: Vcpu, request: Request) -> u64:
    return 0
