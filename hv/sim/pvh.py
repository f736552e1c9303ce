"""Domains of the simulated machine that are described as those of x86 are."""

from hv.common.builder.loader import loading
from hv.x86.pvh_loader import pvh_loader


def use_pvh_kernels() -> None:
    """Behind `use_simulated_vcpus`."""
    loading.loader = pvh_loader
