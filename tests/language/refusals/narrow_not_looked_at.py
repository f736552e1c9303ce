# refuse: 11: `narrow` says whether every value fits
from hv.lang import Compat, abi, narrow, u32


@abi("xen/x.h", "x")
class Request:
    state: u32


def f(a: Request, b: Compat[Request]) -> None:
    narrow(a, b)
