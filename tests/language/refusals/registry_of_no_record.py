# refuse: 9: entries are a @value class
from hv.lang import Final, Registry


class Option:
    name: str


options: Final = Registry[Option]()
