# refuse: 25: a registry's entry names each field once
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



calls: Final = Registry[Call]()


@calls(5, number=6)
def op(caller: Vcpu) -> u64:
    return 0
