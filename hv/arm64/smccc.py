"""Calls of a guest to its firmware and its hypervisor, by HVC and SMC (Arm DEN 0028, SMC Calling Convention 1.1).

The hypervisor answers for the firmware: no call of a guest reaches the machine's. Xen's hypercalls come by another
immediate.
"""

from hv.arm64 import vpsci
from hv.arm64.complain import complain_of_number
from hv.arm64.context import VcpuContext
from hv.arm64.inject import inject_undefined
from hv.common.model.vcpu import Vcpu
from hv.config import CONFIG_DOMAIN_WATCHDOG
from hv.lang import Final, truncate, u32, u64

if CONFIG_DOMAIN_WATCHDOG:
    from hv.arm64.hypercalls import hypercall

VERSION: Final[u64] = 0x1_0001
NOT_SUPPORTED: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF  # -1

SMCCC: Final[u64] = 0  # immediates
XEN_HYPERCALL: Final[u64] = 0xEA1  # public/arch-arm.h
ENOSYS: Final[u64] = 38
INSTRUCTION: Final[u64] = 4


def hypervisor_call(vcpu: Vcpu, context: VcpuContext, immediate: u64) -> None:
    """HVC; the guest's PC is behind it already."""
    if immediate == SMCCC:
        firmware_call(vcpu, context)
    elif immediate == XEN_HYPERCALL:
        xen_call(vcpu, context)
    else:
        complain_of_number(vcpu, "HVC", immediate, "no such interface", "undefined instruction injected")
        context.pc -= INSTRUCTION
        inject_undefined(context)


def xen_call(vcpu: Vcpu, context: VcpuContext) -> None:
    if CONFIG_DOMAIN_WATCHDOG:
        hypercall(vcpu, context)
    else:
        context.x[0] = 0 - ENOSYS


def secure_call(vcpu: Vcpu, context: VcpuContext, immediate: u64) -> None:
    """SMC, which traps before it is done."""
    if immediate == SMCCC:
        context.advance(INSTRUCTION)
        firmware_call(vcpu, context)
    else:
        complain_of_number(vcpu, "SMC", immediate, "no such interface", "undefined instruction injected")
        inject_undefined(context)


def firmware_call(vcpu: Vcpu, context: VcpuContext) -> None:
    """Arguments and result are in the guest's registers."""
    function = truncate(u32, context.x[0])
    match function:
        case 0x8000_0000:
            context.x[0] = VERSION
        case 0x8000_0001:
            context.x[0] = has_feature(truncate(u32, context.x[1]))
        case _:
            context.x[0] = vpsci.call(vcpu, context, function)


def has_feature(function: u32) -> u64:
    """SMCCC_ARCH_FEATURES: of the architecture's functions there are VERSION and this one."""
    return 0 if function == 0x8000_0000 or function == 0x8000_0001 else NOT_SUPPORTED
