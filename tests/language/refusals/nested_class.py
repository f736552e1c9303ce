# refuse: 6: classdef is not in the language
from hv.lang import u32


def f() -> u32:
    class Inner:
        pass

    return 0
