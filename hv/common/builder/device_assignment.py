"""Giving a domain that is built the devices that its description names."""

from hv.common.builder.device_machine import device_machines
from hv.common.builder.devices import Devices
from hv.common.builder.mistake import Mistake
from hv.common.mm.p2m import GuestKind, P2m
from hv.common.mm.types import Gfn, Mfn, mfn_of
from hv.common.model.domain import Domain
from hv.lang import Errno, raises, u32, u64


@raises
def map_window(p2m: P2m, devices: Devices, index: u32, done: u64, mistake: Mistake) -> u64:
    """Maps the next run of a window, of which so many frames are done. Returns how many it was. ENOMEM: the mistake
    tells."""
    window = devices.windows[index]
    try:
        change = p2m.add_run(
            Gfn(window.gfn + done), Mfn(mfn_of(window.start) + done), window.frames - done, GuestKind.DEVICE
        )
        change.flush()
        return change.done
    except Errno as e:
        mistake.tell(f"its window on {window.start:#x} cannot be mapped ({e.name})")
        raise


@raises
def assign_interrupts(domain: Domain, devices: Devices, mistake: Mistake) -> None:
    """What the domain gets before one that it cannot have goes with the domain. EINVAL, EBUSY: the mistake tells."""
    machine = device_machines.machine
    if machine is None:
        return
    for interrupt in devices.each_interrupt():
        try:
            machine.assign(domain, interrupt)
        except Errno as e:
            if e is Errno.EBUSY:
                mistake.tell(f"interrupt {interrupt.number} of its device is the hypervisor's")
            else:
                mistake.tell(f"interrupt {interrupt.number} of its device is none that the machine's controller has")
            raise
