# refuse: 5: is not a constant
from hv.lang import u32

first: u32 = 5
second: u32 = first
