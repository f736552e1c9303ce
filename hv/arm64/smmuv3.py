"""Arm SMMUv3 as the machine's IOMMUs: what the builder asks, what physical maps tell, and turning them on."""

from hv.arm64.smmuv3_domain import DomainStreams
from hv.arm64.smmuv3_faults import listen
from hv.arm64.smmuv3_units import MOST_UNITS, units
from hv.common.iommu.machine import MAX_UNITS, IommuMachine, iommu_machines
from hv.common.iommu.ranges import StreamRange
from hv.common.kernel.log import error, info, warning
from hv.common.lib.fdt import Node
from hv.common.mm.device_maps import Iommus, device_maps
from hv.common.mm.format import Access, Attributes
from hv.common.mm.physical import RegisterWindows
from hv.common.mm.types import Gfn, Mfn
from hv.common.model.domain import Domain, domains
from hv.lang import Errno, Final, bounded, raises, u16, u32, u64


class Smmus(IommuMachine):
    def unit(self, node: Node) -> u32:
        for i in bounded(units.count, MOST_UNITS):
            if units.table[i].usable and units.table[i].node == node.offset:
                return i
        return MAX_UNITS

    def streams(self, unit: u32) -> u64:
        return units.table[unit].stream_count

    @raises
    def join(self, domain: Domain, wanted: u32) -> None:
        for i in bounded(units.count, MOST_UNITS):
            if wanted >> i & 1 != 0 and not units.table[i].on:
                raise Errno.ENODEV
        DomainStreams.of(domain).join(domain, wanted)

    @raises
    def attach(self, domain: Domain, streams: StreamRange, done: u32) -> u32:
        return DomainStreams.of(domain).attach(domain, streams, done)


class FollowedMaps(Iommus):
    """A map's tag is its domain's VMID."""

    def forget(self, tag: u16, start: u64, frames: u64, order: u32) -> None:
        units.forget(tag, start, frames, order)

    @raises
    def map(self, tag: u16, gfn: Gfn, mfn: Mfn, frames: u64, attributes: Attributes) -> None:
        streams = streams_of(tag)
        if units.stage2:
            streams.stage2.add(gfn, mfn, frames, attributes)
        else:
            streams.stage1.add(gfn, mfn, frames, attributes)

    @raises
    def make_ready(self, tag: u16) -> None:
        streams = streams_of(tag)
        if units.stage2:
            streams.stage2.make_ready()
        else:
            streams.stage1.make_ready()

    def unmap(self, tag: u16, gfn: Gfn, frames: u64) -> None:
        streams = streams_of(tag)
        if units.stage2:
            streams.stage2.remove(gfn, frames)
        else:
            streams.stage1.remove(gfn, frames)

    def protect(self, tag: u16, gfn: Gfn, frames: u64, access: Access) -> None:
        streams = streams_of(tag)
        if units.stage2:
            streams.stage2.protect(gfn, frames, access)
        else:
            if Access.R in access:
                streams.stage1.protect(gfn, frames, access)
            else:
                streams.stage1.remove(gfn, frames)  # stage 1 can deny nothing less, and cannot give it back


smmus: Final = Smmus()
followed_maps: Final = FollowedMaps()


def streams_of(tag: u16) -> DomainStreams:
    domain = domains.at(u32(tag) - 1)
    assert domain is not None, "devices use the map of a domain that there is not"
    domain.put()  # the caller holds its map's lock
    return DomainStreams.of(domain)


def find_iommus(windows: RegisterWindows) -> None:
    """Before domains are read: which IOMMUs their devices may be behind."""
    units.probe(windows)
    if units.count != 0:
        iommu_machines.machine = smmus
        device_maps.iommus = followed_maps


def start_iommus() -> None:
    """With a heap and an interrupt controller. Whoever has a device behind one that does not start is not built."""
    for i in bounded(units.count, MOST_UNITS):
        unit = units.table[i]
        if not unit.usable:
            continue
        try:
            unit.start()
        except Errno as e:
            error(f"{unit.name}: it cannot be turned on ({e.name})")
            continue
        stage: u32 = 2 if units.stage2 else 1
        info(f"{unit.name}: confines devices by stage {stage}, {unit.stream_count} streams")
        try:
            listen(i)
        except Errno as e:
            warning(f"{unit.name}: faults are not told, since its interrupts cannot be used ({e.name})")
