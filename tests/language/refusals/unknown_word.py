# refuse: 2: hv.lang has no `Wide`
from hv.lang import Wide
