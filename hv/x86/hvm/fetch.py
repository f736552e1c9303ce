"""The bytes of the instruction at which a guest is, as its CPU has read them, or else would read them."""

from hv.common.mm.guest_copy import copy_from_guest, page_rest
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, Final, address_of, u32, u64, value
from hv.x86.hvm.decode import LONGEST, Code
from hv.x86.hvm.guest_memory import look_up
from hv.x86.hvm.guest_walk import PageFault
from hv.x86.hvm.inject import raise_page_fault, raise_undefined
from hv.x86.hvm.mode import in_long_mode
from hv.x86.hvm.segment import SegmentName
from hv.x86.hvm.virtualisation import Register, virtualisation

LOW: Final[u64] = 0xFFFF_FFFF


@value
class Fetched:
    """`whole`: all bytes that an instruction may have could be read. Else what the guest's CPU says of the first that
    could not: a fault at `address`, or `broken` tables, or no memory.
    """

    whole: bool
    address: u64
    fault: PageFault
    broken: bool


def fetch(vcpu: Vcpu, code: Code) -> Fetched:
    """15 bytes, fewer when one of their pages is not there."""
    virtualisation().copy_instruction(vcpu, code)
    if code.length == LONGEST:
        return Fetched(True, 0, PageFault(0), False)
    at = linear_ip(vcpu)
    code.length = 0
    code.overrun = False
    first = min(u64(LONGEST), page_rest(at))
    fetched = read_part(vcpu, code, at, first)
    if fetched.whole and first < LONGEST:
        return read_part(vcpu, code, at + first, LONGEST - first)
    return fetched


def read_part(vcpu: Vcpu, code: Code, at: u64, count: u64) -> Fetched:
    found = look_up(vcpu, at, False, True)
    if not found.found:
        return Fetched(False, at, found.fault, found.broken)
    to = address_of(code.bytes) + u64(code.length)
    try:
        copy_from_guest(DomainMemory.of(vcpu.domain).p2m, found.address, to, count)
    except Errno:
        return Fetched(False, at, PageFault(0), True)
    code.length += u32(count)
    return Fetched(True, 0, PageFault(0), False)


def raise_unread(vcpu: Vcpu, fetched: Fetched) -> None:
    """For an instruction that is not all there: another vCPU has changed the tables. The guest would not fault by
    itself when it is entered again, as long as its TLB has what they were.
    """
    if fetched.broken:
        raise_undefined(vcpu)
    else:
        raise_page_fault(vcpu, fetched.address, u64(fetched.fault.raw))


def linear_ip(vcpu: Vcpu) -> u64:
    extension = virtualisation()
    ip = extension.read(vcpu, Register.RIP)
    if in_long_mode(vcpu):
        return ip
    return extension.segment(vcpu, SegmentName.CS).base + ip & LOW
