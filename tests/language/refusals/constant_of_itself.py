# refuse: 4: is defined by itself
from hv.lang import Final

LIMIT: Final = LIMIT + 1
