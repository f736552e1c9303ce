"""The header of an arm64 Image, against one built by hand from the kernel's documentation."""

import struct

import pytest

from tests.common.host import EINVAL, LIB, host

SIZE = 0x2000


def image(text_offset=0, size=SIZE, flags=0, magic=b"ARM\x64", length=0x1000):
    head = struct.pack("<IIQQQQQQ4sI", 0x91005A4D, 0x14000000, text_offset, size, flags, 0, 0, 0, magic, 0x40)
    return head.ljust(length, b"\0")


def read(data):
    code = host().errno(f"{LIB}image.read_image", host().bytes(data)[0])
    return -code if code else host().call(f"{LIB}image.read_image", host().bytes(data)[0])


@pytest.mark.parametrize(
    ("data", "text_offset", "size"),
    [
        (image(), 0, SIZE),
        (image(text_offset=0x80000), 0x80000, SIZE),
        (image(size=0x10), 0, 0x1000),  # a signature behind the image makes the file larger
        (image(text_offset=123, size=0), 0x80000, 0x1000),  # before Linux 3.17
        (image(flags=0b1010), 0, SIZE),
    ],
)
def test_good(data, text_offset, size):
    found = read(data)
    assert (found.text_offset, found.size) == (text_offset, size)


@pytest.mark.parametrize(
    "data",
    [b"", image()[:63], image(magic=b"ARM\0"), image(flags=1), image(text_offset=0x200000), b"\x1f\x8b" + bytes(100)],
)
def test_refused(data):
    assert read(data) == -EINVAL


def test_flags():
    found = read(image(flags=0b1100))
    assert found.flags == 0b1100
