"""Dates of the Gregorian calendar as seconds since 1970, UTC, without leap seconds (POSIX.1-2017, 4.16)."""

from hv.lang import Errno, Final, raises, u64, value

DAY: Final[u64] = 86400
OLDEST: Final[u64] = 1970
NEWEST: Final[u64] = 9999


@value
class Date:
    year: u64
    month: u64
    day: u64
    hour: u64
    minute: u64
    second: u64


@raises
def seconds_since_1970(date: Date) -> u64:
    """EINVAL: there is no such date from 1970 to 9999."""
    if date.year < OLDEST or date.year > NEWEST or date.month == 0 or date.month > 12 or date.day == 0:
        raise Errno.EINVAL
    if date.day > days_in(date.year, date.month) or date.hour > 23 or date.minute > 59 or date.second > 59:
        raise Errno.EINVAL
    # A year that begins with March has its leap day at its end: 153 days in five months, from there on.
    year = date.year if date.month > 2 else date.year - 1
    month = (date.month + 9) % 12
    days = year * 365 + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + date.day - 1
    return (days - 719468) * DAY + date.hour * 3600 + date.minute * 60 + date.second


def days_in(year: u64, month: u64) -> u64:
    match month:
        case 4 | 6 | 9 | 11:
            return 30
        case 2:
            return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
        case _:
            return 31
