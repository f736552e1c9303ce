"""Segment and table registers of a guest, whole: what a selector says, and what the CPU has remembered behind it."""

from hv.lang import U8Enum, u16, u32, u64, value


class SegmentName(U8Enum):
    """The first six by their numbers in instructions."""

    ES = 0
    CS = 1
    SS = 2
    DS = 3
    FS = 4
    GS = 5
    GDTR = 6
    LDTR = 7
    IDTR = 8
    TR = 9


@value
class Segment:
    """`attributes` are the descriptor's bits 47:40 and, above them, 55:52, as in a VMCB and in Xen's save records."""

    selector: u16
    attributes: u16
    limit: u32
    base: u64
