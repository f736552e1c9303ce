# refuse: 2: no module
from hv.common.nothing import thing
