"""Setting up what guests need of this machine, once, on the boot CPU: before the scheduler starts, behind the
interrupt controller.

What each CPU sets up for itself is in control.py.
"""

from hv.arm64 import control, exits, guest_nodes  # noqa: F401 (registries; the assembly needs the second)
from hv.arm64.controller import Trigger, gic
from hv.arm64.idregs import find_visible
from hv.arm64.interrupts import interrupts
from hv.arm64.loaded import loaded_vcpu
from hv.arm64.vcpu import vcpu_machine
from hv.arm64.vgic_registers import ICH_HCR_EL2
from hv.arm64.vgic_state import VgicCpu
from hv.arm64.vtimer import claim_timer
from hv.common.model.vcpu import architecture
from hv.lang import Final, raises, u32, u64

ENABLE: Final[u64] = 1  # of ICH_HCR_EL2


@raises
def start_guests() -> None:
    """EINVAL, EBUSY: the interrupt of the virtual timer or of the virtual CPU interfaces cannot be had."""
    find_visible()
    architecture.vcpus = vcpu_machine
    if gic.driver.virtualises():
        claim_timer()
        interrupts.claim(gic.driver.maintenance(), Trigger.LEVEL, maintain)


def maintain(intid: u32) -> None:
    """A list register has become free that others wait for, or an interrupt has ended that may still be asserted.

    The interface is turned off, and with it the interrupt; it is turned on when the list registers have been filled
    anew.
    """
    ICH_HCR_EL2.write(ICH_HCR_EL2.read() & ~ENABLE)
    vcpu = loaded_vcpu()
    if vcpu is not None:
        VgicCpu.of(vcpu).dirty.store(1)
