"""What devices of a domain know of its physical map, through an IOMMU.

Where the IOMMU can walk the map's own tables, it is told of each flush that the CPUs get. Where it cannot, it keeps
tables of its own, which follow each change of the map. A map is known by its tag (VMID); one that no device uses costs
a look at a word.

`P2m.lock` protects what is kept of a map.
"""

from hv.common.mm.format import Access, Attributes
from hv.common.mm.types import Gfn, Mfn
from hv.lang import Atomic, Final, Protocol, raises, u16, u32, u64

MOST_TAGS: Final[u16] = 64


class Iommus(Protocol):
    """The machine's. What they are asked for is done, and nothing old is remembered, when the call returns."""

    def forget(self, tag: u16, start: u64, frames: u64, order: u32) -> None:
        """As `Walker.invalidate`, of a map that they walk."""
        ...

    @raises
    def map(self, tag: u16, gfn: Gfn, mfn: Mfn, frames: u64, attributes: Attributes) -> None:
        """In tables of their own, what the map has just got. ENOMEM: nothing has changed."""
        ...

    @raises
    def make_ready(self, tag: u16) -> None:
        """So that the next `unmap` or `protect` of what is one run of the map needs no memory. ENOMEM."""
        ...

    def unmap(self, tag: u16, gfn: Gfn, frames: u64) -> None:
        """Frames of one run."""
        ...

    def protect(self, tag: u16, gfn: Gfn, frames: u64, access: Access) -> None:
        """Frames of one run."""
        ...


class DeviceMaps:
    iommus: Iommus | None  # None: there are none that a domain's devices go through
    shared: Atomic[u64]  # a bit for each tag of a map that they walk
    followed: Atomic[u64]  # and of one that their own tables follow

    def are_shared(self, tag: u16) -> bool:
        return tag < MOST_TAGS and self.shared.load_relaxed() >> tag & 1 != 0

    def are_followed(self, tag: u16) -> bool:
        return tag < MOST_TAGS and self.followed.load_relaxed() >> tag & 1 != 0

    def are_used(self, tag: u16) -> bool:
        return self.are_shared(tag) or self.are_followed(tag)

    def begin(self, tag: u16, own: bool) -> None:
        """Devices use the map from now on; `own`: through other tables."""
        assert tag < MOST_TAGS, "a map with so high a tag"
        if own:
            self.followed.or_(u64(1) << tag)
        else:
            self.shared.or_(u64(1) << tag)

    def end(self, tag: u16) -> None:
        """No device uses the map any more."""
        self.followed.and_(~(u64(1) << tag))
        self.shared.and_(~(u64(1) << tag))

    def forget(self, tag: u16, start: u64, frames: u64, order: u32) -> None:
        if self.are_shared(tag):
            self._iommus().forget(tag, start, frames, order)

    @raises
    def map(self, tag: u16, gfn: Gfn, mfn: Mfn, frames: u64, attributes: Attributes) -> None:
        if self.are_followed(tag):
            self._iommus().map(tag, gfn, mfn, frames, attributes)

    @raises
    def make_ready(self, tag: u16) -> None:
        if self.are_followed(tag):
            self._iommus().make_ready(tag)

    def unmap(self, tag: u16, gfn: Gfn, frames: u64) -> None:
        if self.are_followed(tag):
            self._iommus().unmap(tag, gfn, frames)

    def protect(self, tag: u16, gfn: Gfn, frames: u64, access: Access) -> None:
        if self.are_followed(tag):
            self._iommus().protect(tag, gfn, frames, access)

    def _iommus(self) -> Iommus:
        found = self.iommus
        assert found is not None, "devices use a map, and there is no IOMMU"
        return found


device_maps: Final = DeviceMaps()
