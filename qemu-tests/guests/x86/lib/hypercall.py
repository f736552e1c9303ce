"""Calls to the hypervisor by Xen's ABI (public/xen.h)."""

from hv.lang import Final, Never, address_of, extern, u32, u64, unbounded

XEN_VERSION: Final[u64] = 17
CONSOLE_IO: Final[u64] = 18
SCHED_OP: Final[u64] = 29

CONSOLE_WRITE: Final[u64] = 0
SHUTDOWN: Final[u64] = 2
POWER_OFF: Final[u32] = 0
REBOOT: Final[u32] = 1
CRASH: Final[u32] = 3


class Reason:
    """sched_shutdown_t."""

    reason: u32


@extern
def hypercall(number: u64, a: u64, b: u64, c: u64) -> u64: ...


@extern
def call_page(entry: u64, a: u64, b: u64, c: u64) -> u64: ...


@unbounded("nothing comes after it")
def end(why: u32) -> Never:
    reason = Reason()
    reason.reason = why
    hypercall(SCHED_OP, SHUTDOWN, address_of(reason), 0)
    while True:
        pass
