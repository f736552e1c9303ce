# refuse: 4: `array(…)` of at most 2 is wanted
from hv.lang import Final, array, u32

TABLE: Final[array[u32, 2]] = array(1, 2, 3)
