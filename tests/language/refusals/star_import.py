# refuse: 2: hv.lang has no `*`
from hv.lang import *
