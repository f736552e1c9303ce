# refuse: 6: must be a configuration symbol
from hv.lang import u32

limit: u32 = 5

if limit == 5:
    other: u32 = 6
