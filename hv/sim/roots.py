"""What the host library contains: every module that runs on the simulated machine."""

from hv.common.kernel import spinlock
from hv.common.lib import ordered
