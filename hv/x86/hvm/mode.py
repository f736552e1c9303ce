"""Of what size a guest's code is at the moment."""

from hv.common.model.vcpu import Vcpu
from hv.lang import Final, u64
from hv.x86.hvm.decode import Mode
from hv.x86.hvm.segment import SegmentName
from hv.x86.hvm.virtualisation import Register, virtualisation

LONG_ACTIVE: Final[u64] = 1 << 10  # EFER
CODE_64: Final = 1 << 9  # L, of a segment's attributes
CODE_32: Final = 1 << 10  # D


def mode_of(vcpu: Vcpu) -> Mode:
    extension = virtualisation()
    attributes = extension.segment(vcpu, SegmentName.CS).attributes
    if extension.read(vcpu, Register.EFER) & LONG_ACTIVE != 0 and attributes & CODE_64 != 0:
        return Mode.BITS_64
    return Mode.BITS_32 if attributes & CODE_32 != 0 else Mode.BITS_16


def in_long_mode(vcpu: Vcpu) -> bool:
    """64-bit code."""
    return mode_of(vcpu) == Mode.BITS_64
