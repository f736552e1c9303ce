"""The header of a bzImage, against one built by hand from the kernel's documentation."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common.host import EINVAL, LIB, host

PAYLOAD = b"packed kernel"


def bzimage(sectors=3, version=0x20F, flags=1, offset=16, length=len(PAYLOAD), magic=b"HdrS", boot_flag=0xAA55):
    head = bytearray(((sectors or 4) + 1) * 512)
    head[0x1F1] = sectors
    struct.pack_into("<H", head, 0x1FE, boot_flag)
    head[0x202:0x206] = magic
    struct.pack_into("<H", head, 0x206, version)
    head[0x211] = flags
    struct.pack_into("<II", head, 0x248, offset, length)
    return bytes(head) + bytes(16) + PAYLOAD + b"behind"


def payload(data):
    """What the payload is, or the negative error."""
    view = host().bytes(data)[0]
    code = host().errno(f"{LIB}bzimage.payload_of", view)
    return -code if code else host().contents(host().call(f"{LIB}bzimage.payload_of", view))


@pytest.mark.parametrize("sectors", [0, 1, 3, 39, 255])
def test_the_payload_is_found(sectors):
    assert payload(bzimage(sectors)) == PAYLOAD


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bzimage()[:0x24F],
        bzimage(magic=b"HdrT"),
        bzimage(boot_flag=0xAA54),
        bzimage(version=0x207),  # tells of no payload
        bzimage(flags=0),  # a zImage
        bzimage(length=len(PAYLOAD) + 7),
        bzimage(offset=0xFFFF_FFFF),
        bzimage(length=0xFFFF_FFFF),
    ],
)
def test_refused(data):
    assert payload(data) == -EINVAL


@given(st.lists(st.tuples(st.integers(0x1F0, 0x250), st.integers(0, 255)), max_size=8), st.integers(0, 3000))
def test_damage_is_refused_or_harmless(changes, length):
    """What is called the payload lies in the file."""
    data = bytearray(bzimage())
    for at, byte in changes:
        data[at] = byte
    found = payload(bytes(data[:length]))
    assert found == -EINVAL or found in bytes(data[:length])
