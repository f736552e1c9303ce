"""A domain's physical map, as part of the domain: `DomainMemory.of(domain).p2m`."""

from hv.arch import flush_guest
from hv.common.mm.p2m import P2m
from hv.common.model.domain import Domain
from hv.lang import Embedded, Extension, Final, raises, u32, u64

FRAMES_PER_TABLE: Final = 512
SPARE_TABLES: Final = 16  # the root, and tables of the upper levels


class DomainMemory(Extension[Domain]):
    p2m: Embedded[P2m]
    emptied: bool

    @raises
    def init(self, owner: Domain) -> None:
        """ENOMEM."""
        self.p2m.init(owner.id, owner.vmid, table_limit(owner.config.frames))
        flush_guest(self.p2m.root, owner.vmid)  # of whoever had the number before

    def teardown(self, owner: Domain) -> None:
        """A map that holds memory has been emptied in steps before."""
        for _ in range(LAST_STEPS):
            if self.empty_step():
                break
        assert self.emptied, "a domain goes that still has memory"

    def empty_step(self) -> bool:
        """Takes down some of the map of a domain that runs no more. True: nothing is left."""
        if not self.emptied:
            self.emptied = self.p2m.teardown_step()
        return self.emptied


LAST_STEPS: Final = 64


def table_limit(frames: u64) -> u32:
    """Frames that the tables of so much memory may take: enough for a map of single frames, in two banks."""
    lowest = frames // FRAMES_PER_TABLE + 2
    return u32(lowest + lowest // FRAMES_PER_TABLE + SPARE_TABLES)
