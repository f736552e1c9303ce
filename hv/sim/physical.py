"""Physical memory that is no RAM, as tests lay it out: firmware's tables, each in a piece of its own.

Whatever lies across the end of a piece cannot be shown, and a sanitizer notices a step beyond one that can.
"""

from hv.common.lib.span import Bytes
from hv.common.mm.physical import PhysicalMemory
from hv.common.mm.types import Paddr
from hv.lang import Errno, Final, array, bounded, raises, u32, u64

MAX_PIECES: Final = 64


class Piece:
    start: Paddr
    bytes: Bytes


class SimulatedPhysical(PhysicalMemory):
    pieces: array[Piece, MAX_PIECES]
    count: u32

    def add(self, start: Paddr, bytes: Bytes) -> None:
        self.pieces[self.count].start = start
        self.pieces[self.count].bytes = bytes
        self.count += 1

    @raises
    def view(self, start: Paddr, length: u64) -> Bytes:
        for i in bounded(self.count, MAX_PIECES):
            piece = self.pieces[i]
            if start >= piece.start and piece.bytes.holds(start - piece.start, length):
                return piece.bytes.part(start - piece.start, length)
        raise Errno.EINVAL


physical: Final = SimulatedPhysical()
