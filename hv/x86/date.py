"""The date at boot, from the PC's clock."""

from hv.common.drivers.acpi_fadt import fadt
from hv.common.kernel.log import warning
from hv.common.kernel.wallclock import set_date
from hv.lang import Errno
from hv.x86.firmware import found
from hv.x86.rtc import read_clock


def read_date() -> None:
    """Without a clock that can be believed the date stays unknown."""
    try:
        set_date(read_clock(fadt.century if found.fadt else 0))
    except Errno as e:
        warning(f"the CMOS clock cannot be read: {e.name}")
