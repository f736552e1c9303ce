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


@raises
def date_at(seconds: u64) -> Date:
    """The inverse. EINVAL: it is after 9999."""
    days = seconds // DAY + 719468
    era = days // 146097  # 400 years
    of_era = days % 146097
    year_of_era = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (year_of_era * 365 + year_of_era // 4 - year_of_era // 100)
    month = (5 * of_year + 2) // 153  # 0: March
    year = era * 400 + year_of_era + (1 if month >= 10 else 0)
    if year > NEWEST:
        raise Errno.EINVAL
    rest = seconds % DAY
    return Date(
        year=year,
        month=month + 3 if month < 10 else month - 9,
        day=of_year - (153 * month + 2) // 5 + 1,
        hour=rest // 3600,
        minute=rest // 60 % 60,
        second=rest % 60,
    )


def days_in(year: u64, month: u64) -> u64:
    match month:
        case 4 | 6 | 9 | 11:
            return 30
        case 2:
            return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
        case _:
            return 31
