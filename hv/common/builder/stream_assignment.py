"""Putting a domain that is built behind the IOMMUs of its devices."""

from hv.common.builder.devices import Devices
from hv.common.builder.mistake import Mistake
from hv.common.iommu.machine import iommu_machines
from hv.common.model.domain import Domain
from hv.lang import Errno, raises, u32


@raises
def join_iommus(domain: Domain, devices: Devices, mistake: Mistake) -> None:
    """Before the domain's memory is mapped. ENOMEM, ENODEV: the mistake tells."""
    machine = iommu_machines.machine
    if machine is None or devices.stream_count == 0:
        return
    try:
        machine.join(domain, devices.iommus)
    except Errno as e:
        mistake.tell(f"its devices cannot be confined ({e.name})")
        raise


@raises
def attach_streams(domain: Domain, devices: Devices, index: u32, done: u32, mistake: Mistake) -> u32:
    """Some of the streams of a range, of which so many are done. Returns how many more are. ENOMEM, ENODEV, EBUSY: the
    mistake tells."""
    machine = iommu_machines.machine
    assert machine is not None, "streams of no IOMMU"
    streams = devices.streams[index]
    try:
        return machine.attach(domain, streams, done)
    except Errno as e:
        mistake.tell(f"stream {streams.first + done:#x} of its device cannot be confined ({e.name})")
        raise
