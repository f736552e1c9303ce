"""Setting up what guests need of this machine, once, on the boot CPU: before the scheduler starts, behind the
interrupt controller.

What each CPU sets up for itself is in control.py.
"""

from hv.arm64 import control, exits, guest_nodes  # noqa: F401 (registries; the assembly needs the second)
from hv.arm64.controller import Trigger, gic
from hv.arm64.guest_map import machine
from hv.arm64.idregs import find_visible
from hv.arm64.interrupts import interrupts
from hv.arm64.loaded import loaded_vcpu
from hv.arm64.vcpu import vcpu_machine
from hv.arm64.vgic_interface import guest_gic
from hv.arm64.vgic_state import VgicCpu
from hv.arm64.vtimer import claim_timer
from hv.common.model.vcpu import architecture
from hv.config import CONFIG_DOMAIN_WATCHDOG, CONFIG_GICV2, CONFIG_GICV3
from hv.lang import raises, u32

if CONFIG_DOMAIN_WATCHDOG:
    from hv.arm64.hypercalls import start_hypercalls
if CONFIG_GICV2:
    from hv.arm64.gich import gich
    from hv.arm64.vgic2_page import GuestInterface  # noqa: F401 (a part of each domain)
if CONFIG_GICV3:
    from hv.arm64.ich import ich


@raises
def start_guests() -> None:
    """EINVAL, EBUSY: the interrupt of the virtual timer or of the virtual CPU interfaces cannot be had."""
    if gic.driver.virtual_version() != 0:
        choose(gic.driver.virtual_version() == 2)
        claim_timer()
        interrupts.claim(gic.driver.maintenance(), Trigger.LEVEL, maintain)
    find_visible()
    if CONFIG_DOMAIN_WATCHDOG:
        start_hypercalls()
    architecture.vcpus = vcpu_machine


def choose(gicv2: bool) -> None:
    """Which GIC guests get: one like the machine's, since its virtual interfaces serve no other."""
    if CONFIG_GICV2 and gicv2:
        guest_gic.interface = gich
    elif CONFIG_GICV3:
        guest_gic.interface = ich
    machine.gicv2 = gicv2


def maintain(intid: u32) -> None:
    """A list register has become free that others wait for, or an interrupt has ended that may still be asserted.

    The interface is turned off, and with it the interrupt; it is turned on when the list registers have been filled
    anew.
    """
    guest_gic.interface.pause()
    vcpu = loaded_vcpu()
    if vcpu is not None:
        VgicCpu.of(vcpu).dirty.store(1)
