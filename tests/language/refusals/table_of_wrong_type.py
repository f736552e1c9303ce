# refuse: 4: where u8 is wanted
from hv.lang import Final, array, u8

NUMBERS: Final[array[u8, 2]] = array(1, "b")
