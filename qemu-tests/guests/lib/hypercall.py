"""Calls to the hypervisor: SMCCC (Arm DEN 0028), PSCI (DEN 0022, chapter 5), and Xen's (public/arch-arm.h)."""

from hv.lang import Final, Never, address_of, extern, u32, u64, unbounded

PSCI_VERSION: Final[u64] = 0x8400_0000
PSCI_CPU_ON: Final[u64] = 0xC400_0003
PSCI_SYSTEM_OFF: Final[u64] = 0x8400_0008
PSCI_SYSTEM_RESET: Final[u64] = 0x8400_0009
SUCCESS: Final[u64] = 0
SCHED_OP: Final[u64] = 29  # public/xen.h
SHUTDOWN: Final[u64] = 2  # public/sched.h
CRASH: Final[u32] = 3


@extern
def hvc(function: u64, a: u64, b: u64, c: u64) -> u64: ...


@extern
def smc(function: u64, a: u64, b: u64, c: u64) -> u64: ...


@extern
def xen_call(number: u64, a: u64, b: u64) -> u64: ...


@extern
def no_call(function: u64, a: u64, b: u64, c: u64) -> u64:
    """Returns at once."""
    ...


@extern
def no_xen_call(number: u64, a: u64, b: u64) -> u64:
    """Returns when it would call."""
    ...


@unbounded("nothing comes after it")
def power_off() -> Never:
    hvc(PSCI_SYSTEM_OFF, 0, 0, 0)
    while True:
        pass


@unbounded("nothing comes after it")
def reset() -> Never:
    hvc(PSCI_SYSTEM_RESET, 0, 0, 0)
    while True:
        pass


class Shutdown:
    """struct sched_shutdown."""

    reason: u32


@unbounded("nothing comes after it")
def crash() -> Never:
    asked = Shutdown()
    asked.reason = CRASH
    xen_call(SCHED_OP, SHUTDOWN, address_of(asked))
    while True:
        pass


def start_cpu(affinity: u64, entry: u64, number: u64) -> bool:
    """Whether the CPU with the affinity starts at secondary_entry with its number."""
    return hvc(PSCI_CPU_ON, affinity, entry, number) == SUCCESS
