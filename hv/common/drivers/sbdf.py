"""The names of PCI functions: segment, bus, device, function."""

from hv.common.lib.parse import find, hexadecimal
from hv.lang import Bits, Errno, Field, raises, u32, u64


class Sbdf(Bits[u32]):
    """A function's name. The lower half is what devices and IOMMUs call the requester's ID."""

    segment = Field(31, 16)
    bus = Field(15, 8)
    device = Field(7, 3)
    function = Field(2, 0)


@raises
def sbdf_named(text: str) -> Sbdf:
    """[<segment>:]<bus>:<device>.<function> in hexadecimal. EINVAL: it is something else, or too large."""
    dot = find(text, ord("."))
    colon = find(text, ord(":"))
    if dot == len(text) or colon > dot:
        raise Errno.EINVAL
    second = find(text, ord(":"), colon + 1)
    segment: u64 = 0
    start: u64 = 0
    if second < dot:
        segment = hexadecimal(text[:colon])
        start = colon + 1
        colon = second
    bus = hexadecimal(text[start:colon])
    device = hexadecimal(text[colon + 1 : dot])
    function = hexadecimal(text[dot + 1 :])
    if segment > 0xFFFF or bus > 0xFF or device > 31 or function > 7:
        raise Errno.EINVAL
    return Sbdf(segment=u32(segment), bus=u32(bus), device=u32(device), function=u32(function))
