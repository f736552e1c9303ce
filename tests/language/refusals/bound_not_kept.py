# refuse: 21: Rank
from hv.lang import Const, Generic, TypeVar, U8Enum, value


class Rank(U8Enum):
    LOW = 1


class Color(U8Enum):
    RED = 1


R = TypeVar("R", bound=Rank)


@value
class Held(Generic[R]):
    rank: Const[R]


def f(held: Held[Color.RED]) -> None:
    pass
