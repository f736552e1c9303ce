# refuse: 4: `limit` needs a value
from hv.lang import u32

limit: u32
