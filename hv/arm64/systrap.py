"""System registers whose use by a guest comes to the hypervisor (Arm DDI 0487, ESR_EL2: ISS of MSR and MRS).

| registers | what a guest gets |
| --- | --- |
| the CPU's features | idregs.py |
| ICC_SGI*, ICC_DIR | virtual interrupts |
| CNTP_* | the emulated physical timer |
| MDSCR_EL1 | single-stepping; other debug registers read as zero and ignore writes |
| ACTLR_EL1, REVIDR_EL1, AIDR_EL1, ICC_SRE_EL1 | fixed |
| all others | an undefined instruction, as on a CPU without the feature |
"""

from hv.arm64 import virq, vtimer
from hv.arm64.complain import complain_of_number
from hv.arm64.context import VcpuContext
from hv.arm64.el1 import MDSCR_EL1
from hv.arm64.guest_map import is_gicv2
from hv.arm64.idregs import read_id
from hv.arm64.inject import inject_undefined
from hv.arm64.vtimer import TimerRegister
from hv.common.model.vcpu import Vcpu
from hv.config import CONFIG_GICV3
from hv.lang import Bits, Field, Final, u32, u64, value

if CONFIG_GICV3:
    from hv.arm64 import vgic_sgi


class SystemAccess(Bits[u64]):
    """The ISS."""

    read = Field(0)
    crm = Field(4, 1)
    register = Field(9, 5)
    crn = Field(13, 10)
    op1 = Field(16, 14)
    op2 = Field(19, 17)
    op0 = Field(21, 20)


WHICH: Final[u64] = 0x3F_FC1E  # all fields that name the register
ZERO_REGISTER: Final[u64] = 31
INSTRUCTION: Final[u64] = 4

ACTLR_EL1: Final = SystemAccess(op0=3, op1=0, crn=1, crm=0, op2=1)
AIDR_EL1: Final = SystemAccess(op0=3, op1=1, crn=0, crm=0, op2=7)
REVIDR_EL1: Final = SystemAccess(op0=3, op1=0, crn=0, crm=0, op2=6)
ICC_ASGI1R_EL1: Final = SystemAccess(op0=3, op1=0, crn=12, crm=11, op2=6)
ICC_DIR_EL1: Final = SystemAccess(op0=3, op1=0, crn=12, crm=11, op2=1)
ICC_SGI0R_EL1: Final = SystemAccess(op0=3, op1=0, crn=12, crm=11, op2=7)
ICC_SGI1R_EL1: Final = SystemAccess(op0=3, op1=0, crn=12, crm=11, op2=5)
ICC_SRE_EL1: Final = SystemAccess(op0=3, op1=0, crn=12, crm=12, op2=5)
CNTP_TVAL_EL0: Final = SystemAccess(op0=3, op1=3, crn=14, crm=2, op2=0)
CNTP_CTL_EL0: Final = SystemAccess(op0=3, op1=3, crn=14, crm=2, op2=1)
CNTP_CVAL_EL0: Final = SystemAccess(op0=3, op1=3, crn=14, crm=2, op2=2)
MDSCR_EL1_ACCESS: Final = SystemAccess(op0=2, op1=0, crn=0, crm=2, op2=2)
OSLSR_EL1: Final = SystemAccess(op0=2, op1=0, crn=1, crm=1, op2=4)

SYSTEM_REGISTERS: Final[u64] = 7  # ICC_SRE_EL1: enabled, no bypass
OS_LOCK_IMPLEMENTED: Final[u64] = 1 << 3
STEPPING: Final[u64] = 0xB001  # of MDSCR_EL1: SS, TDCC, KDE, MDE


@value
class Answer:
    known: bool
    value: u64


UNKNOWN: Final = Answer(False, 0)


def system_register(vcpu: Vcpu, context: VcpuContext, iss: u64) -> None:
    access = SystemAccess(iss)
    register = access.register
    if access.read:
        answer = read(vcpu, access)
        if answer.known:
            if register != ZERO_REGISTER:
                context.x[register] = answer.value
            context.advance(INSTRUCTION)
            return
    elif write(vcpu, access, 0 if register == ZERO_REGISTER else context.x[register]):
        context.advance(INSTRUCTION)
        return
    name = access.op0 << 16 | access.op1 << 12 | access.crn << 8 | access.crm << 4 | access.op2
    what = "read of system register" if access.read else "write of system register"
    complain_of_number(
        vcpu, what, name, "this CPU has none such (op0 op1 CRn CRm op2)", "undefined instruction injected"
    )
    inject_undefined(context)


def read(vcpu: Vcpu, access: SystemAccess) -> Answer:
    match access.raw & WHICH:
        case CNTP_TVAL_EL0.raw:
            return Answer(True, vtimer.read_physical(vcpu, TimerRegister.VALUE))
        case CNTP_CTL_EL0.raw:
            return Answer(True, vtimer.read_physical(vcpu, TimerRegister.CONTROL))
        case CNTP_CVAL_EL0.raw:
            return Answer(True, vtimer.read_physical(vcpu, TimerRegister.COMPARE))
        case ICC_SRE_EL1.raw:
            return UNKNOWN if is_gicv2() else Answer(True, SYSTEM_REGISTERS)
        case ACTLR_EL1.raw | REVIDR_EL1.raw | AIDR_EL1.raw:
            return Answer(True, 0)
        case MDSCR_EL1_ACCESS.raw:
            return Answer(True, MDSCR_EL1.read())
        case OSLSR_EL1.raw:
            return Answer(True, OS_LOCK_IMPLEMENTED)
        case _:
            pass
    if access.op0 == 3 and access.op1 == 0 and access.crn == 0 and 1 <= access.crm <= 7:
        return Answer(True, read_id(u32(access.crm * 8 + access.op2)))
    return Answer(is_debug(access), 0)


def write(vcpu: Vcpu, access: SystemAccess, value: u64) -> bool:
    """False: there is no such register to write."""
    match access.raw & WHICH:
        case ICC_SGI1R_EL1.raw | ICC_SGI0R_EL1.raw | ICC_ASGI1R_EL1.raw | ICC_DIR_EL1.raw | ICC_SRE_EL1.raw:
            return write_interface(vcpu, access, value)
        case CNTP_TVAL_EL0.raw:
            vtimer.write_physical(vcpu, TimerRegister.VALUE, value)
        case CNTP_CTL_EL0.raw:
            vtimer.write_physical(vcpu, TimerRegister.CONTROL, value)
        case CNTP_CVAL_EL0.raw:
            vtimer.write_physical(vcpu, TimerRegister.COMPARE, value)
        case ACTLR_EL1.raw:
            pass
        case MDSCR_EL1_ACCESS.raw:
            MDSCR_EL1.write(value & STEPPING)
        case _:
            return is_debug(access)
    return True


def write_interface(vcpu: Vcpu, access: SystemAccess, value: u64) -> bool:
    """The CPU interface, which a GICv2 has in memory."""
    if CONFIG_GICV3 and not is_gicv2():
        match access.raw & WHICH:
            case ICC_SGI1R_EL1.raw:
                vgic_sgi.send(vcpu, value, True)
            case ICC_SGI0R_EL1.raw:
                vgic_sgi.send(vcpu, value, False)
            case ICC_DIR_EL1.raw:
                virq.end_by_register(vcpu, value)
            case _:
                pass  # for the other security state, which there is not; or what is fixed
        return True
    return False


def is_debug(access: SystemAccess) -> bool:
    """The debug registers of AArch64, EL1 and EL0; without breakpoints and the debugger's channel they hold nothing."""
    return access.op0 == 2 and (access.op1 == 0 or access.op1 == 3) and access.crn < 8
