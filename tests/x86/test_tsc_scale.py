"""What guests make of the time stamp counter is what the hypervisor makes of it."""

from hypothesis import given
from hypothesis import strategies as st

from tests.common.host import host

SECOND = 10**9
MASK = 2**64 - 1


def guest_ns(ticks: int, multiplier: int, shift: int) -> int:
    """As public/xen.h has guests compute it."""
    scaled = ticks << shift & MASK if shift >= 0 else ticks >> -shift
    return scaled * multiplier >> 32


@given(frequency=st.integers(10**6, 6 * 10**9), seconds=st.floats(0, 10**6))
def test_guests_read_the_same_time(frequency: int, seconds: float) -> None:
    """Within a nanosecond and a tick for counters from 1 GHz on; slower ones lose bits of their fraction, 2**-31."""
    fraction = SECOND // frequency << 32 | (SECOND % frequency << 32) // frequency
    scale = host().call("hv.x86.tsc_scale.scale_of", fraction)
    assert scale.multiplier >> 31 == 1 and -8 <= scale.shift <= 10
    ticks = int(seconds * frequency)
    ours, theirs = ticks * fraction >> 32, guest_ns(ticks, scale.multiplier, scale.shift)
    tick = SECOND // frequency + 1
    allowed = 2 + tick if frequency >= SECOND else 2 + tick + (ours >> 31)
    assert abs(ours - theirs) <= allowed
