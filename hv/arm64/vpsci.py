"""The power interface that a guest is offered (Arm DEN 0022, PSCI 1.1), by HVC and SMC alike.

Turning off or resetting the system concerns the guest alone. A vCPU that turns itself off is off when no CPU has it
loaded any more.
"""

from hv.arm64.context import VcpuContext
from hv.arm64.guest_map import vcpu_at
from hv.common.builder.lifecycle import shutdown_domain
from hv.common.mm.format import Access
from hv.common.mm.types import Gaddr, gfn_of
from hv.common.model.domain import ShutdownReason
from hv.common.model.memory import DomainMemory
from hv.common.model.vcpu import Vcpu, Vcpus
from hv.common.sched.core import block, is_off, vcpu_down, vcpu_up
from hv.lang import Errno, Final, truncate, u32, u64

VERSION_1_1: Final[u64] = 0x1_0001

SUCCESS: Final[u64] = 0
NOT_SUPPORTED: Final[u64] = 0xFFFF_FFFF_FFFF_FFFF  # errors are negative numbers
INVALID_PARAMETERS: Final[u64] = NOT_SUPPORTED - 1
DENIED: Final[u64] = NOT_SUPPORTED - 2
ALREADY_ON: Final[u64] = NOT_SUPPORTED - 3
INVALID_ADDRESS: Final[u64] = NOT_SUPPORTED - 8

ON: Final[u64] = 0  # AFFINITY_INFO
OFF: Final[u64] = 1
NO_TRUSTED_OS: Final[u64] = 2  # MIGRATE_INFO_TYPE

WIDE: Final[u32] = 1 << 30  # in a function's number: its arguments have 64 bits


def call(vcpu: Vcpu, context: VcpuContext, function: u32) -> u64:
    """The result; NOT_SUPPORTED for what is no function of this interface."""
    match function:
        case 0x8400_0000:
            return VERSION_1_1
        case 0x8400_0001 | 0xC400_0001:
            block()  # a suspended CPU keeps its state, whatever depth was asked for: that is allowed
            return SUCCESS
        case 0x8400_0002:
            vcpu_down(vcpu)
            return DENIED  # nobody sees it: the vCPU runs no further
        case 0x8400_0003 | 0xC400_0003:
            return cpu_on(
                vcpu,
                argument(function, context.x[1]),
                argument(function, context.x[2]),
                argument(function, context.x[3]),
            )
        case 0x8400_0004 | 0xC400_0004:
            return affinity_info(vcpu, argument(function, context.x[1]), argument(function, context.x[2]))
        case 0x8400_0006:
            return NO_TRUSTED_OS
        case 0x8400_0008:
            shutdown_domain(vcpu.domain, ShutdownReason.POWER_OFF)
            return DENIED
        case 0x8400_0009:
            shutdown_domain(vcpu.domain, ShutdownReason.REBOOT)
            return DENIED
        case 0x8400_000A:
            return SUCCESS if is_offered(truncate(u32, context.x[1])) else NOT_SUPPORTED
        case _:
            return NOT_SUPPORTED


def is_offered(function: u32) -> bool:
    match function:
        case 0x8400_0000 | 0x8400_0001 | 0xC400_0001 | 0x8400_0002 | 0x8400_0003 | 0xC400_0003:
            return True
        case 0x8400_0004 | 0xC400_0004 | 0x8400_0006 | 0x8400_0008 | 0x8400_0009 | 0x8400_000A | 0x8000_0000:
            return True
        case _:
            return False


def argument(function: u32, value: u64) -> u64:
    return value if function & WIDE != 0 else value & 0xFFFF_FFFF


def cpu_on(vcpu: Vcpu, affinity: u64, entry: u64, context: u64) -> u64:
    target = Vcpus.of(vcpu.domain).find(vcpu_at(affinity))
    if target is None:
        return INVALID_PARAMETERS
    if entry & 3 != 0 or Access.X not in DomainMemory.of(vcpu.domain).p2m.lookup(gfn_of(Gaddr(entry))).access:
        return INVALID_ADDRESS
    try:
        vcpu_up(target, entry, context)
    except Errno:
        return ALREADY_ON
    return SUCCESS


def affinity_info(vcpu: Vcpu, affinity: u64, lowest_level: u64) -> u64:
    """Only for single CPUs: level 0."""
    target = Vcpus.of(vcpu.domain).find(vcpu_at(affinity))
    if target is None or lowest_level != 0:
        return INVALID_PARAMETERS
    return OFF if is_off(target) else ON
