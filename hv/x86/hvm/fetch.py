"""The bytes of the instruction at which a guest is, read as its CPU reads them."""

from hv.common.mm.guest_copy import copy_from_guest, page_rest
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, Final, address_of, array, raises, u8, u32, u64
from hv.x86.hvm.guest_memory import look_up
from hv.x86.hvm.segment import SegmentName
from hv.x86.hvm.virtualisation import Register, virtualisation

LONGEST: Final = 15
LONG_ACTIVE: Final[u64] = 1 << 10  # EFER
CODE_64: Final = 1 << 9  # L, of a segment's attributes
LOW: Final[u64] = 0xFFFF_FFFF


class Instruction:
    """Up to 15 bytes; fewer when the next page is not there."""

    bytes: array[u8, LONGEST]
    length: u32

    @raises
    def fetch(self, vcpu: Vcpu) -> None:
        """EFAULT: not even the first byte can be read; the guest has changed its tables meanwhile."""
        at = linear_ip(vcpu)
        self.length = 0
        first = min(LONGEST, page_rest(at))
        self._read(vcpu, at, first)
        if first < LONGEST:
            try:
                self._read(vcpu, at + first, LONGEST - first)
            except Errno:
                return

    @raises
    def _read(self, vcpu: Vcpu, at: u64, count: u64) -> None:
        found = look_up(vcpu, at, False, True)
        if not found.found:
            raise Errno.EFAULT
        to = address_of(self.bytes) + u64(self.length)
        copy_from_guest(DomainMemory.of(vcpu.domain).p2m, found.address, to, count)
        self.length += u32(count)

    def byte(self, index: u32) -> u8:
        """0 behind the end."""
        return self.bytes[index] if index < self.length else 0


def in_long_mode(vcpu: Vcpu) -> bool:
    """64-bit code."""
    extension = virtualisation()
    if extension.read(vcpu, Register.EFER) & LONG_ACTIVE == 0:
        return False
    return extension.segment(vcpu, SegmentName.CS).attributes & CODE_64 != 0


def linear_ip(vcpu: Vcpu) -> u64:
    extension = virtualisation()
    ip = extension.read(vcpu, Register.RIP)
    if in_long_mode(vcpu):
        return ip
    return extension.segment(vcpu, SegmentName.CS).base + ip & LOW
