"""How a vCPU is told that events wait for it: the architecture's interrupt of its own kind."""

from hv.common.model.vcpu import Vcpu
from hv.lang import Final, Protocol


class Upcalls(Protocol):
    def notify(self, vcpu: Vcpu) -> None:
        """Events have become pending for it, and its vcpu_info says so. From any CPU, without locks of the scheduler or
        of a higher rank.
        """
        ...

    def resume(self, vcpu: Vcpu) -> None:
        """What it polls for has come: it goes on. Called as `notify` is."""
        ...


class Delivery:
    """What `Upcalls` is in this image; set at boot, before there are vCPUs."""

    upcalls: Upcalls


delivery: Final = Delivery()
