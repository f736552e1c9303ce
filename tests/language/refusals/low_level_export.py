# refuse: 6: `export` is a low-level word
# module: hv.example
from hv.lang import export


@export
def f() -> None:
    pass
