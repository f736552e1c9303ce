"""Copies to and from a guest's physical memory."""

import pytest

from tests.common.mm.physmap import DEVICE, DOMAIN, READ_ONLY, PhysMap
from tests.common.mm.simulated import EFAULT

GFN = 0x40000
BASE = GFN << 12


@pytest.fixture
def physmap():
    """Guest frames GFN … GFN + 7, of which 4 is a hole and 6 may only be read."""
    found = PhysMap()
    for i in (0, 1, 2, 3, 5, 7):
        assert found.call("populate", GFN + i, 1) == (0, 1)
    mfn = found.machine.mm("ownership.allocate_for", DOMAIN, 0)
    assert found.change("add", GFN + 6, mfn, 0, READ_ONLY) == (0, 1)
    return found


def copy(physmap, name, address, data):
    machine = physmap.machine
    buffer = machine.ffi.new("char[]", data)
    at = int(machine.ffi.cast("uintptr_t", buffer))
    error, _ = machine.errno_or(machine.mm, f"guest_copy.{name}", physmap.p2m, address, at, len(data))
    return error, machine.ffi.buffer(buffer, len(data))[:]


PATTERN = bytes(range(1, 252)) * 60


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 0), (0, 1), (4095, 2), (0, 4096), (1, 4096), (100, 3 * 4096), (4 * 4096 - 1, 1)]
)
def test_what_is_written_is_read(physmap, offset, length):
    assert copy(physmap, "copy_to_guest", BASE + offset, PATTERN[:length])[0] == 0
    assert copy(physmap, "copy_from_guest", BASE + offset, bytes(length)) == (0, PATTERN[:length])
    around = b"".join(bytes(physmap.machine.memory(physmap.lookup(GFN + i)[1])) for i in range(4))
    assert around == bytes(offset) + PATTERN[:length] + bytes(4 * 4096 - offset - length)


@pytest.mark.parametrize("address", [BASE - 1, BASE + 4 * 4096, BASE + 4 * 4096 - 1, (1 << 40) - 1, 1 << 40, 2**64 - 2])
@pytest.mark.parametrize("name", ["copy_to_guest", "copy_from_guest"])
def test_where_nothing_is(physmap, name, address):
    assert copy(physmap, name, address, PATTERN[:2])[0] == EFAULT


def test_memory_that_may_only_be_read(physmap):
    assert copy(physmap, "copy_from_guest", BASE + 6 * 4096, PATTERN[:4096]) == (0, bytes(4096))
    assert copy(physmap, "copy_to_guest", BASE + 6 * 4096, b"x")[0] == EFAULT


def test_memory_whose_mapping_may_only_be_read(physmap):
    assert physmap.change("protect", GFN, 1, 1)[0] == 0
    assert copy(physmap, "copy_to_guest", BASE, b"x")[0] == EFAULT
    assert copy(physmap, "copy_from_guest", BASE, b"x") == (0, b"\0")


def test_a_devices_registers_are_not_copied(physmap):
    assert physmap.change("add", GFN + 4, 0x9000, 0, DEVICE)[0] == 0
    for name in ("copy_to_guest", "copy_from_guest"):
        assert copy(physmap, name, BASE + 4 * 4096, b"x")[0] == EFAULT


def test_no_reference_is_left(physmap):
    copy(physmap, "copy_to_guest", BASE, PATTERN[:10000])
    copy(physmap, "copy_from_guest", BASE + 3 * 4096, PATTERN[:5000])
    physmap.tear_down()
    assert physmap.machine.heap.free_frames == physmap.frames


def test_what_was_written_is_clean_in_memory(physmap):
    physmap.machine.walkers.visibility.snoops = False
    before = physmap.machine.walkers.visibility.count
    copy(physmap, "copy_to_guest", BASE + 5, PATTERN[:100])
    assert physmap.machine.walkers.visibility.count == before
