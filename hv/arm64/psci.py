"""Calls to the firmware's power interface over SMC (Arm DEN 0022, PSCI 1.1)."""

from hv.arm64.cpu import smc_call, stop_cpu
from hv.common.mm.types import Paddr
from hv.lang import Final, Never, i32, truncate, u32, u64, unbounded

VERSION: Final[u64] = 0x8400_0000
FEATURES: Final[u64] = 0x8400_000A
CPU_ON: Final[u64] = 0xC400_0003
SYSTEM_OFF: Final[u64] = 0x8400_0008
SYSTEM_RESET: Final[u64] = 0x8400_0009

SUCCESS: Final[i32] = 0
NOT_SUPPORTED: Final[i32] = -1


class Firmware:
    present: bool  # it answers to SMC: an SMC without firmware is an undefined instruction


firmware: Final = Firmware()


def version() -> u32:
    """Major version in the upper 16 bits. Of firmware that is present."""
    return truncate(u32, smc_call(VERSION, 0, 0, 0))


def feature(function: u64) -> i32:
    """Of firmware that is present and of version 1.0 at least. Negative: it has no such function."""
    return truncate(i32, smc_call(FEATURES, function, 0, 0))


def cpu_on(affinity: u64, entry: Paddr, context: u64) -> i32:
    """Starts a CPU at `entry` with `context` in x0, its MMU off. SUCCESS, or PSCI's error."""
    if not firmware.present:
        return NOT_SUPPORTED
    return truncate(i32, smc_call(CPU_ON, affinity, entry, context))


@unbounded("the firmware does not come back; if it does, this CPU stops")
def system_off() -> Never:
    if firmware.present:
        smc_call(SYSTEM_OFF, 0, 0, 0)
    while True:
        stop_cpu()


@unbounded("the firmware does not come back; if it does, this CPU stops")
def system_reset() -> Never:
    if firmware.present:
        smc_call(SYSTEM_RESET, 0, 0, 0)
    while True:
        stop_cpu()
