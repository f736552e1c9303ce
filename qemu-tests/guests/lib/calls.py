"""Calls to the hypervisor (entry.S), and the numbers of those that are needed (Arm DEN 0022)."""

from guests.lib.registers import wait_for_interrupt
from hv.lang import Final, Never, extern, u64, unbounded

PSCI_VERSION: Final[u64] = 0x8400_0000
CPU_ON: Final[u64] = 0xC400_0003
SYSTEM_OFF: Final[u64] = 0x8400_0008
SYSTEM_RESET: Final[u64] = 0x8400_0009


@extern
def hvc(function: u64, a: u64, b: u64, c: u64) -> u64: ...


@extern
def smc(function: u64, a: u64, b: u64, c: u64) -> u64: ...


@extern
def no_call(function: u64, a: u64, b: u64, c: u64) -> u64:
    """All of `hvc` but the HVC, for which a NOP stands."""
    ...


@unbounded("the guest is turned off")
def power_off() -> Never:
    hvc(SYSTEM_OFF, 0, 0, 0)
    while True:
        wait_for_interrupt()


@unbounded("the guest is reset")
def reset() -> Never:
    hvc(SYSTEM_RESET, 0, 0, 0)
    while True:
        wait_for_interrupt()
