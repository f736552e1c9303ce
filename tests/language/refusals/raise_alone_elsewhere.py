# refuse: 7: `raise` alone belongs in an except block
from hv.lang import raises


@raises
def f() -> None:
    raise
