# refuse: 9: Table(…): array[u32, 4] is no conversion
from hv.lang import TypeAlias, array, u32


Table: TypeAlias = array[u32, 4]


def f() -> None:
    x = Table(5)
