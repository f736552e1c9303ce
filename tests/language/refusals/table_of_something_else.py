# refuse: 4: a table has another form: write `array()` (zeros) or `array(a, b, …)`
from hv.lang import Final, array, u32

TABLE: Final[array[u32, 2]] = 5
