"""A domain's watchdogs: one that is begun and not patted in time shuts the domain down (SCHEDOP_watchdog of
public/sched.h).

A domain has WATCHDOGS of them. Their time goes on whatever becomes of its vCPUs, paused ones too. What begins anew has
none.

`Watchdogs.lock` protects which are in use, and their timers.
"""

from hv.arch import now
from hv.common.kernel.rank import Rank
from hv.common.kernel.spinlock import SpinLock
from hv.common.kernel.time import SECOND, Ns
from hv.common.kernel.timer import Timer, TimerOwner
from hv.common.model.domain import Domain, ShutdownReason
from hv.common.model.ending import shut_down
from hv.lang import Embedded, Errno, Extension, Final, array, raises, u32, u64

WATCHDOGS: Final[u32] = 2  # Xen's NR_DOMAIN_WATCHDOG_TIMERS


class Watchdog(TimerOwner):
    domain: Domain
    used: bool
    timer: Embedded[Timer]

    def set(self, seconds: u32) -> None:
        self.used = True
        self.timer.set(Ns(now() + u64(seconds) * SECOND))

    def end(self) -> None:
        self.used = False
        self.timer.cancel()

    def expired(self, now: Ns) -> None:
        if Watchdogs.of(self.domain).has_run_out(self):
            shut_down(self.domain, ShutdownReason.WATCHDOG)


class Watchdogs(Extension[Domain]):
    lock: SpinLock[Rank.DOMAIN_WATCHDOG]
    table: array[Watchdog, WATCHDOGS]  # the one at index i has the number i + 1

    def init(self, owner: Domain) -> None:
        for watchdog in self.table:
            watchdog.domain = owner
            watchdog.timer.init(watchdog)

    def teardown(self, owner: Domain) -> None:
        for watchdog in self.table:
            watchdog.timer.kill()

    @raises
    def set(self, id: u32, seconds: u32) -> u32:
        """From now on so long. Id 0 begins another one, whose number comes back; else it is 0, and 0 seconds end the
        watchdog of that number. EINVAL: there is none. EEXIST: all are in use.
        """
        with self.lock:
            if id == 0:
                return self._begin(seconds)
            if id > WATCHDOGS or not self.table[id - 1].used:
                raise Errno.EINVAL
            if seconds == 0:
                self.table[id - 1].end()
            else:
                self.table[id - 1].set(seconds)
            return 0

    @raises
    def _begin(self, seconds: u32) -> u32:
        for i in range(WATCHDOGS):
            if not self.table[i].used:
                self.table[i].set(seconds)
                return i + 1
        raise Errno.EEXIST

    def has_run_out(self, watchdog: Watchdog) -> bool:
        """Whether its time, which has come, is not over and done with: it may have been patted since."""
        with self.lock:
            return watchdog.used and not watchdog.timer.armed
