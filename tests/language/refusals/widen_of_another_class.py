# refuse: 11: widen(x, into) takes a Compat[T] and a T, not Request and Request
from hv.lang import abi, u32, widen


@abi("xen/x.h", "x")
class Request:
    state: u32


def f(a: Request, b: Request) -> None:
    widen(a, b)
