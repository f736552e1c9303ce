"""The CMOS clock against a model of its registers, in all its forms; dates against Python's."""

import calendar
import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.common.host import EINVAL, host

EIO = 5
READ = "hv.x86.rtc.read_clock"
CENTURY = 0x32


class Clock:
    """Registers in BCD or binary, with 12 or 24 hours; each access takes a time."""

    def __init__(self, when, binary=False, hours24=True, updating=0, tick=0.0):
        self.when, self.binary, self.hours24 = when, binary, hours24
        self.updating, self.tick, self.index = updating, tick, 0
        machine = host().cleared("hv.sim.machine.machine")
        ffi = host().ffi
        self.read = ffi.callback("unsigned int(unsigned short, unsigned char)", self._read)
        self.written = ffi.callback("void(unsigned short, unsigned char, unsigned int)", self._written)
        machine.port_read, machine.port_written = self.read, self.written

    def _written(self, port, width, value):
        assert (port, width) == (0x70, 1) and value < 0x80, "the highest bit masks NMIs"
        self.index = value

    def _read(self, port, width):
        assert (port, width) == (0x71, 1)
        when = self.when
        self.when += datetime.timedelta(seconds=self.tick)
        if self.index == 0x0A:
            self.updating -= self.updating > 0
            return 0x80 if self.updating else 0x26
        if self.index == 0x0B:
            return self.binary << 2 | self.hours24 << 1
        hour = when.hour if self.hours24 else when.hour % 12 or 12
        values = {0: when.second, 2: when.minute, 4: hour, 7: when.day, 8: when.month, 9: when.year % 100}
        values[CENTURY] = when.year // 100
        value = values[self.index]
        form = value if self.binary else value // 10 << 4 | value % 10
        return form | 0x80 if self.index == 4 and not self.hours24 and when.hour >= 12 else form


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    host().cleared("hv.sim.machine.machine")


DATES = st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(9999, 12, 31)).map(
    lambda d: d.replace(microsecond=0)
)


@given(DATES, st.booleans(), st.booleans())
@example(datetime.datetime(2000, 2, 29, 0, 0, 0), False, False)
@example(datetime.datetime(2100, 3, 1, 12, 59, 59), False, False)
def test_dates_in_every_form(when, binary, hours24):
    clock = Clock(when, binary, hours24, updating=3)
    assert host().call(READ, CENTURY) == calendar.timegm(when.timetuple())
    assert clock.when == when


@pytest.mark.parametrize(("year", "meant"), [(2026, 2026), (1999, 1999), (2069, 2069), (1970, 1970)])
def test_without_a_century(year, meant):
    Clock(datetime.datetime(year, 1, 2))
    assert host().call(READ, 0) == calendar.timegm((meant, 1, 2, 0, 0, 0))


def test_readings_that_differ_are_taken_again():
    start = datetime.datetime(2026, 12, 31, 23, 59, 57)
    clock = Clock(start, tick=0.02)
    seconds = host().call(READ, CENTURY)
    assert calendar.timegm(start.timetuple()) <= seconds <= calendar.timegm(clock.when.timetuple())


def test_a_clock_that_does_not_come_to_rest():
    Clock(datetime.datetime(2026, 1, 1), tick=1)
    assert host().errno(READ, CENTURY) == EIO
    Clock(datetime.datetime(2026, 1, 1), updating=10**9)
    assert host().errno(READ, CENTURY) == EIO


def test_no_clock():
    host().cleared("hv.sim.machine.machine")
    assert host().errno(READ, 0) == EIO


@pytest.mark.parametrize(
    "date",
    [
        (2026, 0, 1, 0, 0, 0), (2026, 13, 1, 0, 0, 0), (2026, 2, 29, 0, 0, 0), (2100, 2, 29, 0, 0, 0),
        (2026, 4, 31, 0, 0, 0), (2026, 1, 0, 0, 0, 0), (2026, 1, 1, 24, 0, 0), (2026, 1, 1, 0, 60, 0),
        (2026, 1, 1, 0, 0, 60), (1969, 12, 31, 0, 0, 0), (10000, 1, 1, 0, 0, 0), (2**64 - 1, 1, 1, 0, 0, 0),
    ],
)  # fmt: skip
def test_no_such_date(date):
    names = ("year", "month", "day", "hour", "minute", "second")
    made = host().ffi.new("common_lib_calendar_Date *", dict(zip(names, date, strict=True)))
    assert host().errno("hv.common.lib.calendar.seconds_since_1970", made[0]) == EINVAL


def test_pl031():
    host().cleared("hv.sim.machine.machine").registers[0] = 0xFEDC_BA98
    assert host().call("hv.common.drivers.pl031.read_clock", 0x1000) == 0xFEDC_BA98
