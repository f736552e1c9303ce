"""The bytes of the instruction at which a guest is, read as its CPU reads them."""

from hv.common.mm.guest_copy import copy_from_guest, page_rest
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, Final, address_of, raises, u32, u64
from hv.x86.hvm.decode import LONGEST, Code, Mode
from hv.x86.hvm.guest_memory import look_up
from hv.x86.hvm.segment import SegmentName
from hv.x86.hvm.virtualisation import Register, virtualisation

LONG_ACTIVE: Final[u64] = 1 << 10  # EFER
CODE_64: Final = 1 << 9  # L, of a segment's attributes
CODE_32: Final = 1 << 10  # D
LOW: Final[u64] = 0xFFFF_FFFF


@raises
def fetch(vcpu: Vcpu, code: Code) -> None:
    """Up to 15 bytes; fewer when the next page is not there. EFAULT: not even the first can be read."""
    at = linear_ip(vcpu)
    code.length = 0
    first = min(u64(LONGEST), page_rest(at))
    read_part(vcpu, code, at, first)
    if first < LONGEST:
        try:
            read_part(vcpu, code, at + first, LONGEST - first)
        except Errno:
            return


@raises
def read_part(vcpu: Vcpu, code: Code, at: u64, count: u64) -> None:
    found = look_up(vcpu, at, False, True)
    if not found.found:
        raise Errno.EFAULT
    to = address_of(code.bytes) + u64(code.length)
    copy_from_guest(DomainMemory.of(vcpu.domain).p2m, found.address, to, count)
    code.length += u32(count)


def mode_of(vcpu: Vcpu) -> Mode:
    extension = virtualisation()
    attributes = extension.segment(vcpu, SegmentName.CS).attributes
    if extension.read(vcpu, Register.EFER) & LONG_ACTIVE != 0 and attributes & CODE_64 != 0:
        return Mode.BITS_64
    return Mode.BITS_32 if attributes & CODE_32 != 0 else Mode.BITS_16


def in_long_mode(vcpu: Vcpu) -> bool:
    """64-bit code."""
    return mode_of(vcpu) == Mode.BITS_64


def linear_ip(vcpu: Vcpu) -> u64:
    extension = virtualisation()
    ip = extension.read(vcpu, Register.RIP)
    if in_long_mode(vcpu):
        return ip
    return extension.segment(vcpu, SegmentName.CS).base + ip & LOW
