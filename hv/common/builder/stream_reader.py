"""Which streams a device of the machine has, by its node: `iommus`, and of a PCI host bridge `iommu-map`.

Sources: Linux Documentation/devicetree/bindings: iommu/iommu.txt, pci/pci-iommu.txt, iommu/arm,smmu-v3.yaml.
`iommus` lists an IOMMU's phandle and as many cells as its `#iommu-cells` says, here the number of a stream. `iommu-map`
has rows of four cells: the first of some requesters on the bus, a phandle, the first of their streams, how many.
"""

from hv.common.builder.description import Description, descriptions
from hv.common.builder.device_properties import PATH
from hv.common.builder.mistake import Mistake
from hv.common.drivers.devicetree import tree as machine_tree
from hv.common.iommu.machine import MAX_UNITS, IommuMachine, iommu_machines
from hv.common.iommu.ranges import MAX_RANGES, StreamRange
from hv.common.lib.fdt import Node, Property
from hv.lang import Errno, Final, bounded, raises, u32, u64

IOMMUS: Final = "iommus"
MAP: Final = "iommu-map"
MAP_CELLS: Final[u32] = 4
MAX_ENTRIES: Final = 1 << 14  # cells of a property
REQUESTERS: Final[u64] = 1 << 16  # that a PCI bus has, with all below


class StreamReader:
    """One domain's at a time."""

    mistake: Mistake
    machine: IommuMachine
    into: Description
    place: str  # the node of the partial tree

    @raises
    def read(self, mistake: Mistake, node: Node, device: Node, into: Description) -> bool:
        """Takes the streams of a device that a node of the partial tree leads to. Whether all that it does goes through
        IOMMUs that are driven. EINVAL: the mistake tells."""
        machine = iommu_machines.machine
        if machine is None:
            return False
        self.mistake = mistake
        self.machine = machine
        self.into = into
        self.place = node.name
        listed = device.property(IOMMUS)
        mapped = device.property(MAP)
        confined = False
        if listed.found:
            confined = self._read_list(device, listed)
        if mapped.found:
            confined = self._read_map(device, mapped) and (confined or not listed.found)
        return confined

    @raises
    def _read_list(self, device: Node, listed: Property) -> bool:
        self._check_cells(device, listed, 1)
        confined = True
        at: u32 = 0
        for _ in bounded(listed.count, MAX_ENTRIES):
            if at == listed.count:
                break
            cells: u32 = 0
            unit = MAX_UNITS
            try:
                iommu = machine_tree.by_phandle(listed.cell(at))
                cells = iommu.property("#iommu-cells").cell()
                unit = self.machine.unit(iommu)
                if cells > listed.count - at - 1 or (unit != MAX_UNITS and cells != 1):
                    raise Errno.EINVAL
                if unit != MAX_UNITS:
                    self._take(device, listed, unit, listed.cell(at + 1), 1)
            except Errno as e:
                if e is not Errno.EBUSY:
                    self._unreadable(device, listed, at)
                raise Errno.EINVAL from None
            confined = confined and unit != MAX_UNITS
            at += 1 + cells
        return confined

    @raises
    def _read_map(self, device: Node, mapped: Property) -> bool:
        self._check_cells(device, mapped, MAP_CELLS)
        confined = True
        for i in bounded(mapped.count // MAP_CELLS, MAX_ENTRIES):
            first = i * MAP_CELLS
            try:
                unit = self.machine.unit(machine_tree.by_phandle(mapped.cell(first + 1)))
                count = mapped.cell(first + 3)
                if count == 0 or u64(mapped.cell(first)) + u64(count) > REQUESTERS:
                    raise Errno.EINVAL
                if unit != MAX_UNITS:
                    self._take(device, mapped, unit, mapped.cell(first + 2), count)
                confined = confined and unit != MAX_UNITS
            except Errno as e:
                if e is not Errno.EBUSY:
                    self._unreadable(device, mapped, first)
                raise Errno.EINVAL from None
        return confined and covers(device, mapped)

    @raises
    def _take(self, device: Node, listed: Property, unit: u32, first: u32, count: u32) -> None:
        """EBUSY: the mistake tells."""
        streams = StreamRange(unit, first, count)
        most = self.machine.streams(unit)
        devices = self.into.devices
        if streams.end > most:
            self.mistake.wrong(
                self.place,
                PATH,
                f'leads to {device.name}, whose "{listed.name}" has stream {max(u64(first), most):#x}: '
                f"its IOMMU's end at {most - 1:#x}",
            )
            raise Errno.EBUSY
        for other in descriptions:
            for taken in other.devices.each_streams():
                if taken.overlaps(streams):
                    self.mistake.wrong(
                        self.place,
                        PATH,
                        f"leads to {device.name}, whose stream {max(taken.first, first):#x} {other.name} has already: "
                        "give both devices to one domain",
                    )
                    raise Errno.EBUSY
        if self._has(streams):
            return  # of another device of the domain
        if devices.stream_count == MAX_RANGES:
            self.mistake.wrong(self.place, PATH, f"leads to one of more than {MAX_RANGES} ranges of streams")
            raise Errno.EBUSY
        devices.streams[devices.stream_count] = streams
        devices.stream_count += 1

    def _has(self, streams: StreamRange) -> bool:
        for own in self.into.devices.each_streams():
            if own.overlaps(streams) and own.first <= streams.first and streams.end <= own.end:
                return True
        return False

    @raises
    def _check_cells(self, device: Node, listed: Property, cells: u32) -> None:
        if listed.bytes.length == 0 or listed.bytes.length % u64(cells * 4) != 0 or listed.count > MAX_ENTRIES:
            self._unreadable(device, listed, listed.count // cells * cells)
            raise Errno.EINVAL

    def _unreadable(self, device: Node, listed: Property, at: u32) -> None:
        self.mistake.wrong(
            self.place,
            PATH,
            f'leads to {device.name}, whose "{listed.name}" cannot be read from cell {at} on: '
            "correct the machine's tree",
        )


def covers(device: Node, mapped: Property) -> bool:
    """Whether the rows, which have been checked, hold each requester that the bus can have: one that they leave out
    goes through no IOMMU."""
    try:
        return _covers(device, mapped)
    except Errno:
        return False


@raises
def _covers(device: Node, mapped: Property) -> bool:
    first: u64 = 0
    last = REQUESTERS - 1
    buses = device.property("bus-range")
    if buses.found:
        first = u64(buses.cell(0)) << 8
        last = (u64(buses.cell(1)) << 8) + 0xFF
    mask = device.property("iommu-map-mask")
    if mask.found:
        first = 0  # any number whose bits are in the mask
        last = min(last, u64(mask.cell()))
    rows = mapped.count // MAP_CELLS
    for _ in bounded(rows + 1, MAX_ENTRIES):
        if first > last:
            return True
        beyond = first
        for i in bounded(rows, MAX_ENTRIES):
            start = u64(mapped.cell(i * MAP_CELLS))
            end = start + u64(mapped.cell(i * MAP_CELLS + 3))
            if start <= first:
                beyond = max(beyond, end)
        if beyond == first:
            return False
        first = beyond
    return first > last


stream_reader: Final = StreamReader()
