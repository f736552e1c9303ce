"""Which components of a guest's extended state may be enabled, and what XSETBV does (Intel SDM 1, 13.3, and 2C,
"XSETBV").
"""

from hv.lang import Final, u8, u32, u64
from hv.x86.cpuid import features
from hv.x86.hvm.event import NOTHING, PROTECTION, UNDEFINED, Event, exception, fault
from hv.x86.sysreg import Control4
from hv.x86.xsave import extended_state

X87: Final[u64] = 1 << 0
SSE: Final[u64] = 1 << 1
AVX: Final[u64] = 1 << 2
AVX512: Final[u64] = 7 << 5
PKRU: Final[u64] = 1 << 9
OFFERED: Final[u64] = X87 | SSE | AVX | AVX512 | PKRU
XCR0: Final[u32] = 0


def offered_components() -> u64:
    """Of the CPU's components those that guests may enable."""
    return extended_state.mask & OFFERED


def kept_components() -> u64:
    """Those that change hands with a vCPU. In QEMU 7.2's TCG a guest does not come out at XSETBV (target/i386/tcg,
    helper_xsetbv), and may have enabled whatever the CPU has: the next guest must not find it.
    """
    return extended_state.mask if features.tcg else offered_components()


def fault_of_xsetbv(control: Control4, privilege: u8, register: u32, value: u64) -> Event:
    """NOTHING: the register takes the value. A CPU with SVM raises by itself what does not depend on operands (AMD APM
    2, 15.9); QEMU lets the guest out before it looks at anything.
    """
    if not control.xsave:
        return exception(UNDEFINED)
    if privilege != 0 or register != XCR0 or not is_valid(value):
        return fault(PROTECTION, 0)
    return NOTHING


def is_valid(xcr0: u64) -> bool:
    if xcr0 & ~offered_components() != 0 or xcr0 & X87 == 0:
        return False
    if xcr0 & AVX != 0 and xcr0 & SSE == 0:
        return False
    wide = xcr0 & AVX512
    return wide == 0 or (wide == AVX512 and xcr0 & AVX != 0)
