# refuse: 4: 2 elements for
from hv.lang import Final, array

NAMES: Final[array[str, 3]] = array("a", "b")
