"""What guests of both architectures do with their domain's watchdogs (public/sched.h, SCHEDOP_watchdog): they look at
what the hypervisor answers, begin one, and pat it a few times a second apart, or never.
"""

from hv.lang import Final, Protocol, bounded, u32, u64

SCHED_OP: Final[u64] = 29
WATCHDOG: Final[u64] = 6
SUCCESS: Final[u64] = 0
EEXIST: Final[u64] = ~u64(16)
EFAULT: Final[u64] = ~u64(13)
EINVAL: Final[u64] = ~u64(21)
LONG: Final[u32] = 3600
MOST: Final = 1000


class Request:
    """sched_watchdog_t."""

    id: u32
    timeout: u32


class Watched(Protocol):
    def call(self, address: u64) -> u64:
        """SCHEDOP_watchdog, with the request at the guest's virtual address."""
        ...

    def set(self, id: u32, seconds: u32) -> u64:
        """The same with a request of these."""
        ...

    def wait(self, milliseconds: u64) -> None: ...


def check(guest: Watched, nowhere: u64) -> bool:
    """Whether all errors are Xen's, and the numbers, too. `nowhere`: no memory of the guest's is there."""
    if guest.call(nowhere) != EFAULT or guest.set(1, LONG) != EINVAL or guest.set(3, LONG) != EINVAL:
        return False
    if guest.set(0, LONG) != 1 or guest.set(0, LONG) != 2 or guest.set(0, LONG) != EEXIST:
        return False
    if guest.set(2, LONG) != SUCCESS or guest.set(3, 0) != EINVAL or guest.set(2, 0) != SUCCESS:
        return False
    return guest.set(2, 0) == EINVAL and guest.set(1, 0) == SUCCESS


def pat(guest: Watched, seconds: u32, times: u64) -> bool:
    """Begins a watchdog of so many seconds, which is ended behind the last of its pats, and outlived. False: the
    hypervisor said otherwise.
    """
    if guest.set(0, seconds) != 1:
        return False
    for _ in bounded(times, MOST):
        guest.wait(1000)
        if guest.set(1, seconds) != SUCCESS:
            return False
    if guest.set(1, 0) != SUCCESS:
        return False
    guest.wait(2000 * u64(seconds))
    return True
