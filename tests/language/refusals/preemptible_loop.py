# refuse: 2: hv.lang has no `preemptible`
from hv.lang import preemptible
