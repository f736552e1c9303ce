"""What the CPU tells of the instruction that brought a guest out, where it tells: AMD APM 2, 15.7.1 (next-RIP save) and
15.33 (decode assists).
"""

from hv.lang import Bits, Field, Final, truncate, u8, u32, u64
from hv.x86.hvm.decode import LONGEST, Code
from hv.x86.svm.features import svm_features
from hv.x86.svm.reasons import NESTED_FAULT
from hv.x86.svm.vmcb import Vmcb

FETCHED: Final[u8] = 0xF  # how many bytes: up to 15


class Move(Bits[u64]):
    """EXITINFO1 of an access to a control register (15.33.1)."""

    register = Field(3, 0)
    known = Field(63)


def length_of(vmcb: Vmcb, plain: u64) -> u64:
    """In bytes. `plain`: of the instruction without prefixes, which is the answer where the CPU does not tell. It saves
    0 behind an exit that is no instruction's.
    """
    if svm_features.has.next_rip and vmcb.next_rip != 0:
        return vmcb.next_rip - vmcb.rip
    return plain


def copy_fetched(vmcb: Vmcb, code: Code) -> None:
    """What the CPU has read behind a nested page fault of data: 15 bytes, or fewer, where it could not read them. None
    behind other exits; nor, on family 17h, when SMAP keeps the CPU itself from the page (erratum 1096).
    """
    code.overrun = False
    code.length = 0
    if svm_features.has.decode_assists and vmcb.exit_code == NESTED_FAULT:
        code.length = u32(vmcb.fetched & FETCHED)
        for i in range(LONGEST):
            code.bytes[i] = vmcb.instruction[i]


def tells_register(vmcb: Vmcb) -> bool:
    """Behind a MOV to a control register: whether its register and length are known without reading it."""
    has = svm_features.has
    return has.decode_assists and has.next_rip and vmcb.next_rip != 0 and Move(vmcb.exit_info1).known


def register_of(vmcb: Vmcb) -> u32:
    """The one that is moved, by its number."""
    return truncate(u32, Move(vmcb.exit_info1).register)
