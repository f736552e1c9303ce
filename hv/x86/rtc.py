"""The date that a PC keeps while it is off: the CMOS clock (Motorola MC146818A data sheet; ACPI 6.5, 4.7.2.4).

The clock is taken to run in UTC. Its registers change once a second; a date counts when two readings in a row, each
begun while no update was in progress, agree.
"""

from hv.arch import read_port8, relax, write_port8
from hv.common.lib.calendar import Date, seconds_since_1970
from hv.lang import Errno, Final, raises, u8, u16, u64

INDEX: Final[u16] = 0x70
DATA: Final[u16] = 0x71
SECONDS: Final[u8] = 0x00
MINUTES: Final[u8] = 0x02
HOURS: Final[u8] = 0x04
DAY: Final[u8] = 0x07
MONTH: Final[u8] = 0x08
YEAR: Final[u8] = 0x09
STATUS_A: Final[u8] = 0x0A
STATUS_B: Final[u8] = 0x0B

UPDATING: Final[u8] = 1 << 7  # of status A
IS_24_HOURS: Final[u8] = 1 << 1  # of status B
IS_BINARY: Final[u8] = 1 << 2
AFTERNOON: Final[u8] = 1 << 7  # of the hours
TRIES: Final = 100_000
READINGS: Final = 8


@raises
def read_clock(century: u8) -> u64:
    """Seconds since 1970, UTC. `century`: the index of the register with the century, from the FADT; 0: there is none.
    EIO: there is no clock, or it does not come to rest. EINVAL: what it holds is no date."""
    before = _reading(century)
    for _ in range(READINGS):
        after = _reading(century)
        if before == after:
            return after
        before = after
    raise Errno.EIO


@raises
def _reading(century: u8) -> u64:
    _wait()
    status = _read(STATUS_B)
    hours = _read(HOURS)
    hour = _number(hours & ~AFTERNOON, status)
    if status & IS_24_HOURS == 0:
        if hour == 0 or hour > 12:
            raise Errno.EINVAL
        hour = hour % 12 + (12 if hours & AFTERNOON != 0 else 0)
    year = _number(_read(YEAR), status)
    if century != 0:
        year += _number(_read(century), status) * 100
    else:
        year += 2000 if year < 70 else 1900
    date = Date(
        year=year,
        month=_number(_read(MONTH), status),
        day=_number(_read(DAY), status),
        hour=hour,
        minute=_number(_read(MINUTES), status),
        second=_number(_read(SECONDS), status),
    )
    return seconds_since_1970(date)


@raises
def _wait() -> None:
    """Until no update is in progress: from then on there are 244 µs."""
    for _ in range(TRIES):
        if _read(STATUS_A) & UPDATING == 0:
            return
        relax()
    raise Errno.EIO


def _read(register: u8) -> u8:
    write_port8(INDEX, register)
    return read_port8(DATA)


def _number(byte: u8, status: u8) -> u64:
    """A register's value, in whichever of its two forms the clock counts."""
    if status & IS_BINARY != 0:
        return u64(byte)
    return u64(byte >> 4) * 10 + u64(byte & 0xF)
