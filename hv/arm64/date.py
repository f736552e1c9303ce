"""The date at boot, from the clock that the device tree names."""

from hv.common.drivers.devicetree import tree
from hv.common.drivers.pl031 import read_clock
from hv.common.kernel.log import warning
from hv.common.kernel.wallclock import set_date
from hv.common.mm.types import PAGE_SIZE, Paddr
from hv.common.mm.windows import windows
from hv.lang import Errno


def read_date() -> None:
    """Without such a clock the date stays unknown."""
    for node in tree.compatible("arm,pl031"):
        if not node.enabled:
            continue
        try:
            registers = node.reg(0)
            address = windows.map(Paddr(registers.start), max(registers.size, PAGE_SIZE))
            set_date(read_clock(address))
            windows.unmap(address)
        except Errno as e:
            warning(f"the real-time clock cannot be read: {e.name}")
        return
