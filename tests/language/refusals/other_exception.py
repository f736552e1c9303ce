# refuse: 7: only an Errno is raised
from hv.lang import raises


@raises
def f() -> None:
    raise ValueError("no")
