# refuse: 11: narrow(x, into) takes a T and a Compat[T], not Compat[Request] and Request
from hv.lang import Compat, abi, narrow, u32


@abi("xen/x.h", "x")
class Request:
    state: u32


def f(a: Compat[Request], b: Request) -> None:
    narrow(a, b)
