"""What is packed in a bzImage comes out of it as it went in; other files are told what they lack."""

import struct

import pytest
from bzimages import PACKERS, bzimage
from hypothesis import given
from hypothesis import strategies as st

from devtools import vmlinux
from devtools.report import Problem

ELF = b"\x7fELF" + bytes(range(256)) * 300


@pytest.mark.parametrize("packer", PACKERS.values(), ids=PACKERS)
def test_what_was_packed_comes_out(packer):
    assert vmlinux.unpack(bzimage(packer(ELF))) == ELF


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (b"MZ" + bytes(2000), "no setup header"),
        (bytes(10), "no setup header"),
        (bzimage(PACKERS["gzip"](ELF))[:-600], "ends within the packed kernel"),
        (bzimage(b"bzip2 or so"), "not known, beginning with 627a6970"),
        (bzimage(PACKERS["xz"](b"no program")), "packed in it by xz is no ELF"),
        (bzimage(PACKERS["zstd"](ELF)[:40] + bytes(40)), "packed by zstd, cannot be unpacked|by zstd is no ELF"),
    ],
    ids=["no kernel", "too short", "cut", "unknown", "no ELF", "damaged"],
)
def test_what_cannot_be_unpacked_is_told(image, why, tmp_path):
    file = tmp_path / "kernel"
    file.write_bytes(image)
    with pytest.raises(Problem, match=f"{file}: .*({why})"):
        vmlinux.unpacked(file)


def test_an_old_header_is_told():
    image = bytearray(bzimage(PACKERS["gzip"](ELF)))
    struct.pack_into("<H", image, vmlinux.VERSION, 0x207)
    with pytest.raises(ValueError, match=r"older than protocol 2\.08"):
        vmlinux.unpack(bytes(image))


@given(
    st.sampled_from(sorted(PACKERS)), st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=8)
)
def test_any_damage_ends_in_words(name, changes):
    image = bytearray(bzimage(PACKERS[name](ELF[:5000])))
    for place, byte in changes:
        image[place % len(image)] = byte
    try:
        vmlinux.unpack(bytes(image))
    except ValueError:
        pass
