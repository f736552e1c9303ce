"""What of the machine that a guest is played lies where in its map."""

from hv.arch import GUEST_LOWER
from hv.common.builder.description import Description
from hv.common.mm.types import Gaddr
from hv.config import CONFIG_PASSTHROUGH

if CONFIG_PASSTHROUGH:
    from hv.common.builder.device_machine import device_machines


def guest_part(description: Description, start: Gaddr, end: Gaddr) -> str:
    """In words; empty: nothing. What cannot be asked may have all below the usual place of memory."""
    if CONFIG_PASSTHROUGH:
        machine = device_machines.machine
        if machine is not None:
            return machine.guest_part(description.uart, start, end)
    return "a device" if start < GUEST_LOWER else ""
