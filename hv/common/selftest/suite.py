"""The self-tests that are the same on all machines. The architecture adds its own to the same registry."""

from hv.common.kernel.selftest import run_asked
from hv.common.selftest import contention, faults, timing, unmap  # noqa: F401 (they add themselves)


def run_selftests() -> None:
    """When all CPUs are up. Does not come back when the command line asks for any."""
    run_asked()
