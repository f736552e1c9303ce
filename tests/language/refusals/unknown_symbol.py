# refuse: 2: no configuration symbol `CONFIG_MISSING`
from hv.config import CONFIG_MISSING
