"""The date: when, in seconds since 1970 (UTC), this machine's time was zero.

It is kept as Xen's guests read it (public/xen.h: wc_version, wc_sec, wc_nsec): an even version is whole, and changes
when the date is set. One CPU sets it at a time; all read it without a lock.
"""

from hv.arch import now
from hv.common.kernel.log import info
from hv.common.kernel.time import SECOND
from hv.common.lib.calendar import date_at
from hv.lang import Atomic, Errno, Final, u32, u64, unbounded, value


@value
class Instant:
    """A point in time: seconds since 1970, and nanoseconds from there."""

    seconds: u64
    ns: u64


class WallClock:
    version: Atomic[u32]  # 0: never set; odd: being set
    seconds: Atomic[u64]  # since 1970, at the moment when `now` was zero
    ns: Atomic[u64]  # from there

    def set(self, instant: Instant) -> None:
        """It is this late now."""
        since = u64(now())
        whole = instant.seconds - since // SECOND
        part = instant.ns + SECOND - since % SECOND
        self.version.add(1)
        self.seconds.store(whole - 1 + part // SECOND)
        self.ns.store(part % SECOND)
        self.version.add(1)

    @property
    def is_set(self) -> bool:
        return self.version.load() != 0

    def read(self) -> Instant:
        """How late it is. Counts from 1970 on when nobody has set it."""
        base = self.base()
        part = base.ns + u64(now())
        return Instant(base.seconds + part // SECOND, part % SECOND)

    @unbounded("whoever sets the date is done after two stores")
    def base(self) -> Instant:
        """When `now` was zero."""
        while True:
            version = self.version.load_acquire()
            found = Instant(self.seconds.load_acquire(), self.ns.load_acquire())
            if version % 2 == 0 and self.version.load() == version:
                return found


wall_clock: Final = WallClock()


def set_date(seconds: u64) -> None:
    """From a clock that runs while the machine is off, and counts whole seconds since 1970."""
    wall_clock.set(Instant(seconds, 0))
    try:
        date = date_at(seconds)
        info(
            f"it is {date.year}-{date.month:02}-{date.day:02} {date.hour:02}:{date.minute:02}:{date.second:02} UTC by "
            "the machine's clock"
        )
    except Errno:
        info("the machine's clock is set beyond the year 9999")
