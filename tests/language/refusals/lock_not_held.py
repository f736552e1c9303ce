# refuse: 23: where Held[LOW] is wanted
from hv.lang import Const, Generic, TypeVar, U8Enum, value


class Rank(U8Enum):
    LOW = 1
    HIGH = 2


R = TypeVar("R", bound=Rank)


@value
class Held(Generic[R]):
    rank: Const[R]


def needs(held: Held[Rank.LOW]) -> None:
    pass


def f(held: Held[Rank.HIGH]) -> None:
    needs(held)
