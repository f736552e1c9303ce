# refuse: 9: a registry's entries are records: mark the class @value
from hv.lang import Final, Registry


class Option:
    name: str


options: Final = Registry[Option]()
