"""What the machine's tree says of the platform: its firmware, and its interrupt controller."""

from hv.arm64 import psci
from hv.arm64.controller import InterruptController, controllers
from hv.common.drivers.devicetree import tree
from hv.common.lib.fdt import Node
from hv.common.mm.windows import windows
from hv.lang import Errno, raises, value


def find_firmware() -> None:
    """The tree says whether PSCI, since version 0.2, answers to SMC. Without it no other CPU runs, nor can the machine
    be restarted.
    """
    for node in tree.nodes():
        known = node.is_compatible("arm,psci-0.2") or node.is_compatible("arm,psci-1.0")
        if known and node.property("method").lists("smc"):
            psci.firmware.present = True


@value
class FoundController:
    driver: InterruptController
    node: Node


@raises
def find_controller() -> FoundController:
    """The first that there is a driver for. ENODEV: none."""
    for node in tree.nodes():
        for driver in controllers:
            if node.is_compatible(driver.compatible) and node.enabled:
                return FoundController(driver.controller(), node)
    raise Errno.ENODEV


@raises
def take_controller() -> InterruptController:
    """Starts the machine's. ENODEV: none that a driver knows; and what the driver raises."""
    found = find_controller()
    found.driver.init(found.node, windows)
    return found.driver
