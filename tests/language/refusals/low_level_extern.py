# refuse: 6: `extern` is a low-level word
# module: hv.example
from hv.lang import extern


@extern
def f() -> None: ...
