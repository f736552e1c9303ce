"""Model-specific registers as guests have them. Those that no function here knows do not exist: reading or writing them
is a general protection fault.

Sources: Intel SDM 4; AMD APM 2, appendix A.
"""

from hv.common.model.vcpu import Vcpu
from hv.lang import Errno, Final, raises, u8, u32, u64
from hv.x86.cpu import write_msr
from hv.x86.hvm import lapic_access
from hv.x86.hvm.cpuid_answers import HYPERCALL_REGISTER
from hv.x86.hvm.hypercall_page import install_page
from hv.x86.hvm.lapic_access import FIRST_REGISTER, LAST_REGISTER
from hv.x86.hvm.state import HvmDomain, HvmVcpu
from hv.x86.hvm.virtualisation import Register, virtualisation
from hv.x86.sysreg import TSC_AUX

SYSCALL: Final[u64] = 1 << 0  # EFER
LONG_MODE: Final[u64] = 1 << 8
LONG_ACTIVE: Final[u64] = 1 << 10
NO_EXECUTE: Final[u64] = 1 << 11
FAST_FXSAVE: Final[u64] = 1 << 14
KNOWN: Final[u64] = SYSCALL | LONG_MODE | LONG_ACTIVE | NO_EXECUTE | FAST_FXSAVE
PAGING: Final[u64] = 1 << 31  # CR0
EXTENDED_ACCESS: Final[u64] = 1 << 46  # NB_CFG
LFENCE_SERIALISES: Final[u64] = 1 << 1  # DE_CFG


@raises
def read(vcpu: Vcpu, register: u32) -> u64:
    """EPERM: there is no such register."""
    match register:
        case 0x10:
            return HvmDomain.of(vcpu.domain).tsc
        case 0x1B:
            return lapic_access.read_base(vcpu)
        case 0x6E0:
            return lapic_access.read_deadline(vcpu)
        case 0x8B | 0x179 | 0x17A:  # microcode, machine check banks: none
            return 0
        case 0x277:
            return virtualisation().read(vcpu, Register.PAT)
        case 0xC000_0080:
            return virtualisation().read(vcpu, Register.EFER)
        case 0xC000_0103:
            if HvmDomain.of(vcpu.domain).cpuid.has_rdtscp:
                return HvmVcpu.of(vcpu).tsc_aux
        case 0xC001_001F:  # NB_CFG: AMD's kernels turn access to extended configuration space on, where it is not
            return EXTENDED_ACCESS
        case 0xC001_1029:  # DE_CFG
            return LFENCE_SERIALISES
        case _:
            if FIRST_REGISTER <= register <= LAST_REGISTER:
                return lapic_access.read_register(vcpu, register)
    raise Errno.EPERM


@raises
def write(vcpu: Vcpu, register: u32, value: u64) -> None:
    """EPERM: there is no such register, or it does not take this value."""
    match register:
        case 0x8B | 0xC001_001F | 0xC001_1029:
            return
        case 0x1B:
            lapic_access.write_base(vcpu, value)
            return
        case 0x6E0:
            lapic_access.write_deadline(vcpu, value)
            return
        case 0x17A:
            if value == 0:
                return
        case 0x277:
            if is_valid_pat(value):
                virtualisation().write(vcpu, Register.PAT, value)
                return
        case 0xC000_0080:
            write_efer(vcpu, value)
            return
        case 0xC000_0103:
            if HvmDomain.of(vcpu.domain).cpuid.has_rdtscp and value >> 32 == 0:
                HvmVcpu.of(vcpu).tsc_aux = value
                write_msr(TSC_AUX, value)
                return
        case 0x4000_0000:
            assert HYPERCALL_REGISTER == 0x4000_0000, "another register asks for the hypercall page"
            install_page(vcpu, value)
            return
        case _:
            if FIRST_REGISTER <= register <= LAST_REGISTER:
                lapic_access.write_register(vcpu, register, value)
                return
    raise Errno.EPERM


@raises
def write_efer(vcpu: Vcpu, value: u64) -> None:
    """The CPU says itself whether long mode is active; it is not turned on or off under paging. EPERM."""
    before = virtualisation().read(vcpu, Register.EFER)
    if value & ~KNOWN != 0:
        raise Errno.EPERM
    paging = virtualisation().read(vcpu, Register.CR0) & PAGING != 0
    if paging and (value ^ before) & LONG_MODE != 0:
        raise Errno.EPERM
    virtualisation().write(vcpu, Register.EFER, value & ~LONG_ACTIVE | before & LONG_ACTIVE)


def is_valid_pat(value: u64) -> bool:
    for i in range(8):
        if u8(value >> 8 * i & 0xFF) not in (0, 1, 4, 5, 6, 7):
            return False
    return True
