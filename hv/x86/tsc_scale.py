"""How guests turn the time stamp counter into nanoseconds: by a multiplier of 32 bits and a shift (public/xen.h:
vcpu_time_info).
"""

from hv.lang import Final, i32, leading_zeros, u32, u64, value
from hv.x86.cpu import scaled
from hv.x86.timer import SECOND, clock, fraction

FRACTION_BITS: Final = 32


@value
class Scale:
    """Ticks, shifted left by `shift`, times `multiplier`, over 2**32, are nanoseconds."""

    multiplier: u32
    shift: i32


def scale_of(fraction: u64) -> Scale:
    """Of nanoseconds for each tick, in units of 2**-32; not 0."""
    excess = i32(FRACTION_BITS) - i32(leading_zeros(fraction))
    if excess >= 0:
        return Scale(u32(fraction >> excess), excess)
    return Scale(u32(fraction << -excess), excess)


def tsc_fraction() -> u64:
    """Nanoseconds for each tick, in units of 2**-32, rounded down."""
    return clock.to_ns if clock.reference is None else fraction(SECOND, clock.frequency)


def tsc_scale() -> Scale:
    return scale_of(tsc_fraction())


def longest_ns(ticks: u64) -> u64:
    """What so many ticks take at most, in ns."""
    return scaled(ticks, tsc_fraction()) + (ticks >> 32) + 2
