# refuse: 14: Access is no integer here
from hv.lang import U8Flag


class Access(U8Flag):
    R = 1


class Mode(U8Flag):
    X = 1


def f(access: Access, mode: Mode) -> Access:
    return access | mode
