"""Units of time."""

from hv.lang import Final, NewType, u64

Ns = NewType("Ns", u64)
"""Nanoseconds: a point in time since the machine's counter started, or a span."""
Ticks = NewType("Ticks", u64)
"""The counter's own unit; the architecture converts."""

MICROSECOND: Final = 1_000
MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000
