"""What the guest side of arm64 needs of the simulated machine: its own idea of vCPUs, and an interrupt controller,
which only notes what becomes of the virtual timer's interrupt.
"""

from hv.arm64.interrupts import InterruptController, Trigger, interrupts
from hv.arm64.timer import counter
from hv.arm64.timer_node import timer_node
from hv.arm64.vcpu import vcpu_machine
from hv.common.model.vcpu import architecture
from hv.lang import Final, PerCpu, u32, u64

NOTHING_PENDING: Final[u32] = 1023
VIRTUAL_TIMER: Final[u32] = 27


class PhysicalTimer(PerCpu):
    """The interrupt's state on this CPU."""

    active: bool
    deactivations: u32


class SimulatedController(InterruptController):
    def start_cpu(self) -> None:
        pass

    def supports(self, intid: u32) -> bool:
        return True

    def configure(self, intid: u32, trigger: Trigger) -> None:
        pass

    def enable(self, intid: u32) -> None:
        pass

    def disable(self, intid: u32) -> None:
        pass

    def route(self, intid: u32, cpu: u32) -> None:
        pass

    def acknowledge(self) -> u32:
        return NOTHING_PENDING

    def end(self, intid: u32) -> None:
        pass

    def deactivate(self, intid: u32) -> None:
        PhysicalTimer.this().active = False
        PhysicalTimer.this().deactivations += 1

    def activate(self, intid: u32) -> None:
        PhysicalTimer.this().active = True


simulated_controller: Final = SimulatedController()


def use_arm64_guests(frequency: u64) -> None:
    """`frequency`: ticks of the counter in a second."""
    architecture.vcpus = vcpu_machine
    interrupts.init(simulated_controller)
    timer_node.virtual = VIRTUAL_TIMER
    counter.frequency = frequency
