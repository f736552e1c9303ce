# refuse: 25: `LIMIT` is no registry
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



LIMIT: Final[u32] = 5


@LIMIT(5)
def op(caller: Vcpu) -> u64:
    return 0
