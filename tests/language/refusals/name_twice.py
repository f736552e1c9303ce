# refuse: 5: is declared twice
from hv.lang import u32

limit: u32 = 1
limit: u32 = 2
