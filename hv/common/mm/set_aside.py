"""The memory that is set aside for a domain, as long as the machine runs: which of the machine's frames, and where in
the guest's map. The heap never has them (hv/common/mm/ownership.py).
"""

from hv.common.kernel.panic import panic
from hv.common.mm.types import Gfn, Mfn
from hv.lang import Errno, Final, Iterator, array, bounded, raises, u32, u64, value

MAX_RANGES: Final = 8  # of the machine's
MAX_RUNS: Final[u32] = 9  # the end of the guest's lower bank may lie inside one


@value
class Run:
    """Frames in a row, for the guest as for the machine."""

    gfn: Gfn
    mfn: Mfn
    frames: u64


class SetAside:
    """In the order of the guest's map. Without runs: the domain's memory comes from the heap."""

    runs: array[Run, MAX_RUNS]
    count: u32
    direct: bool  # each frame has the machine's number in the guest's map, too

    def __iter__(self) -> Iterator[Run]:
        for i in bounded(self.count, MAX_RUNS):
            yield self.runs[i]

    def clear(self) -> None:
        self.count = 0
        self.direct = False

    @property
    def frames(self) -> u64:
        """In all runs."""
        total: u64 = 0
        for run in self:
            total += run.frames
        return total

    @raises
    def add(self, run: Run) -> None:
        """Behind the others. ENOSPC: there are too many."""
        if self.count == MAX_RUNS:
            raise Errno.ENOSPC
        self.runs[self.count] = run
        self.count += 1

    def run_from(self, index: u64) -> Run:
        """What lies in a row from the frame on that has so many before it."""
        before: u64 = 0
        for run in self:
            if index - before < run.frames:
                inside = index - before
                return Run(Gfn(run.gfn + inside), Mfn(run.mfn + inside), run.frames - inside)
            before += run.frames
        panic("a frame beyond the memory that is set aside")

    @raises
    def behind(self, gfn: Gfn) -> Mfn:
        """The frame that is meant for a guest frame. ENOMEM: none is."""
        for run in self:
            if gfn - run.gfn < run.frames:  # wraps when the guest frame lies below the run
                return Mfn(run.mfn + (gfn - run.gfn))
        raise Errno.ENOMEM
