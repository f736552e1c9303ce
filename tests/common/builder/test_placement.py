"""Where kernel, ramdisk and tree go: inside the first bank, apart from each other, aligned, and where Xen puts them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.hostbuild import Raised
from tests.common.host import host

BANK = 0x4000_0000
MIB = 1 << 20
ENOSPC = 28


def place(text_offset, size, frames, ramdisk, tree):
    made = host().ffi.new("common_lib_image_Image *", {"text_offset": text_offset, "size": size})
    placed = host().library.call("hv.common.builder.kernel.place", made[0], frames, ramdisk, tree)
    return placed.kernel - BANK, placed.tree - BANK, placed.ramdisk - BANK


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        # A 28 MB kernel and 1 MB ramdisk in 256 MB: as the real Xen's guests have it.
        ((0, 28 * MIB, 65536, 1 * MIB, 4000), (0, 128 * MIB, 130 * MIB)),
        # 128 MiB is not enough for that: the end of the memory.
        ((0, 28 * MIB, 32768, 1 * MIB, 4000), (0, 124 * MIB, 126 * MIB)),
        # A kernel that reaches beyond 128 MiB.
        ((0, 130 * MIB, 65536, 1 * MIB, 4000), (0, 252 * MIB, 254 * MIB)),
        # Memory that 2 MiB would waste: one of 4 MiB with a kernel of 3.
        ((0, 3 * MIB, 1024, 0x2000, 4000), (0, 4 * MIB - 0x3000, 4 * MIB - 0x2000)),
        # Nothing is left behind an old kernel, but room before it.
        ((0x80000, 4 * MIB - 0x80000, 1024, 0x1000, 4000), (0x80000, 0x80000 - 0x2000, 0x80000 - 0x1000)),
        # No ramdisk.
        ((0, 1 * MIB, 65536, 0, 4000), (0, 128 * MIB, 130 * MIB)),
        # More memory than the first bank has: 3 GiB and 1 GiB above.
        ((0, 28 * MIB, 1 << 20, 1 * MIB, 4000), (0, 128 * MIB, 130 * MIB)),
    ],
)
def test_where_xen_puts_them(what, expected):
    assert place(*what) == expected


SIZES = st.one_of(st.integers(0, 1 << 16), st.integers(0, 300 * MIB), st.integers(0, 2**64 - 1))


@given(
    text_offset=st.integers(0, 2 * MIB - 1),
    size=SIZES,
    frames=st.one_of(st.integers(1, 1 << 17), st.integers(1, 1 << 28)),
    ramdisk=SIZES,
    tree=st.integers(1, 60_000),
)
def test_nothing_overlaps(text_offset, size, frames, ramdisk, tree):
    bank = min(frames * 4096, 3 << 30)
    try:
        kernel_at, tree_at, ramdisk_at = place(text_offset, size, frames, ramdisk, tree)
    except Raised as raised:
        assert raised.code == ENOSPC
        up = (text_offset + size + 4095) // 4096 * 4096
        pages = (tree + 4095) // 4096 * 4096 + (ramdisk + 4095) // 4096 * 4096
        assert up + pages > bank and (pages > text_offset or size + text_offset > bank), "they would fit"
        return
    assert kernel_at == text_offset
    parts = sorted([(kernel_at, kernel_at + size), (tree_at, tree_at + tree), (ramdisk_at, ramdisk_at + ramdisk)])
    parts = [part for part in parts if part[0] != part[1]]
    assert all(before[1] <= after[0] for before, after in pairwise(parts))
    assert parts[-1][1] <= bank
    assert tree_at % 4096 == 0 and ramdisk_at % 4096 == 0


@given(st.integers(256 * MIB // 4096, 1 << 20))
def test_small_kernels_leave_two_mebibytes_to_the_tree(frames):
    _, tree_at, ramdisk_at = place(0, 20 * MIB, frames, 5 * MIB, 4000)
    assert tree_at % (2 * MIB) == 0 and ramdisk_at - tree_at == 2 * MIB
