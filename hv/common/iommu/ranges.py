"""Streams by their numbers: a device's transactions carry one, by which its IOMMU knows it."""

from hv.lang import Final, u32, u64, value

MAX_RANGES: Final = 16  # that a domain has


@value
class StreamRange:
    """Streams of one IOMMU, in a row."""

    unit: u32
    first: u32
    count: u32

    @property
    def end(self) -> u64:
        return u64(self.first) + u64(self.count)

    def overlaps(self, other: "StreamRange") -> bool:
        return self.unit == other.unit and u64(self.first) < other.end and u64(other.first) < self.end
