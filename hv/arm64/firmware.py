"""What the machine's firmware offers beyond power control: the SMC Calling Convention's architecture functions (Arm DEN
0028, 7), which say how a CPU's speculation is contained.
"""

from hv.arm64 import psci
from hv.arm64.cpu import smc_call
from hv.arm64.predictor import NOT_SUPPORTED
from hv.lang import Final, i32, truncate, u64

SMCCC_VERSION: Final[u64] = 0x8000_0000
ARCH_FEATURES: Final[u64] = 0x8000_0001
VERSION_1_1: Final[i32] = 0x1_0001


def has_feature(function: u64) -> i32:
    """What the firmware says of an architecture function, on this CPU."""
    if not psci.firmware.present or psci.version() >> 16 == 0 or psci.feature(SMCCC_VERSION) < 0:
        return NOT_SUPPORTED
    if call(SMCCC_VERSION, 0) < VERSION_1_1:
        return NOT_SUPPORTED
    return call(ARCH_FEATURES, function)


def call(function: u64, argument: u64) -> i32:
    return truncate(i32, smc_call(function, argument, 0, 0))
