"""Walks of a guest's own tables against a second reading of Intel SDM 3A, chapter 4: every mode, size and right."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.mm.physmap import PhysMap

GFN = 0x100
FRAMES = 64
CODE_PG, WP = 1 << 31, 1 << 16
PSE, PAE, LA57, SMEP, SMAP = 1 << 4, 1 << 5, 1 << 12, 1 << 20, 1 << 21
LMA, NXE = 1 << 10, 1 << 11
P, W, U, A, D, PS, NX = 1, 2, 4, 1 << 5, 1 << 6, 1 << 7, 1 << 63
WRITE, FETCH, USER = 1, 2, 4
ADDRESS = 0x000F_FFFF_FFFF_F000

MODES = {"32-bit": (2, 0, PSE), "PAE": (3, 0, PAE), "4 levels": (4, LMA, PAE), "5 levels": (5, LMA, PAE | LA57)}


class Guest:
    """Memory of a guest that is filled with tables."""

    def __init__(self):
        self.physmap = PhysMap()
        done = 0
        while done < FRAMES:
            error, count = self.physmap.call("populate", GFN + done, FRAMES - done)
            assert error == 0
            done += count
        self.next = 1
        self.machine = self.physmap.machine

    def page(self, gfn):
        return self.machine.memory(self.physmap.lookup(gfn)[1])

    def word(self, address, size):
        memory = self.page(address >> 12)
        at = address & 0xFFF
        return int.from_bytes(bytes(memory[at : at + size]), "little")

    def store(self, address, value, size):
        memory = self.page(address >> 12)
        at = address & 0xFFF
        memory[at : at + size] = value.to_bytes(size, "little")

    def new(self):
        self.next += 1
        return (GFN + self.next - 1) << 12

    def walk(self, cr0, cr3, cr4, efer, ac, linear, rights):
        return self.machine.call("hv.sim.svm.walk_guest", cr0, cr3, cr4, efer, ac, linear, rights)


def build(guest, mode, linear, bits, leaf_height, target):
    """Tables that lead to the target with these bits in the entries, from the root's down. Returns CR3 and where the
    entries lie."""
    levels, _, _ = MODES[mode]
    size = 4 if mode == "32-bit" else 8
    table = cr3 = guest.new()
    entries = []
    for height in range(levels - 1, leaf_height - 1, -1):
        shift = 12 + (10 if size == 4 else 9) * height
        at = table + (linear >> shift & (1023 if size == 4 else 511)) * size
        own = bits[levels - 1 - height]
        if mode == "PAE" and height == 2:
            own &= P
        if height == leaf_height:
            entry = target | own | (PS if height else 0)
        else:
            table = guest.new()
            entry = table | own
        if size == 4:
            entry &= 0xFFFF_FFFF
        guest.store(at, entry, size)
        entries.append((at, size))
    return cr3, entries


def allowed(bits, mode, cr0, cr4, efer, ac, rights):
    """Present, and the access may be made."""
    if not all(b & P for b in bits):
        return False, False
    deciding = bits[1:] if mode == "PAE" else bits
    user = all(b & U for b in deciding)
    writable = all(b & W for b in deciding)
    wide = mode != "32-bit"
    never = wide and efer & NXE and any(b & NX for b in deciding)
    if rights & USER and not user:
        return True, False
    if rights & FETCH:
        return True, not never and not (not rights & USER and user and cr4 & SMEP)
    if not rights & USER and user and cr4 & SMAP and not ac:
        return True, False
    if rights & WRITE and not writable:
        return True, not rights & USER and not cr0 & WP
    return True, True


BITS = st.sampled_from([P | W | U, P | W, P | U, P, 0, P | W | U | NX, P | W | U | A, P | W | U | A | D])


@given(
    st.sampled_from(sorted(MODES)), st.lists(BITS, min_size=5, max_size=5), st.integers(0, 2), st.booleans(),
    st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.sampled_from([0, 1, 2, 4, 5, 6]), st.data(),
)  # fmt: skip
@settings(deadline=None, max_examples=150)
def test_a_walk(mode, bits, leaf_height, wp, smep, smap, nxe, ac, rights, data):
    levels, long, paging = MODES[mode]
    heights = {"32-bit": (0, 1), "PAE": (0, 1)}.get(mode, (0, 1, 2))
    leaf_height = heights[min(leaf_height, len(heights) - 1)]
    bits = bits[: levels - leaf_height]
    top = {"32-bit": 32, "PAE": 32, "4 levels": 47, "5 levels": 56}[mode]
    linear = data.draw(st.integers(0, (1 << top) - 1))
    if long and data.draw(st.booleans()):
        linear |= ((1 << 64) - 1) & ~((1 << top) - 1)
    guest = Guest()
    span = 12 + (10 if mode == "32-bit" else 9) * leaf_height
    target = data.draw(st.integers(0, (1 << 40) - 1 if mode != "32-bit" else (1 << 32) - 1)) >> span << span
    cr3, entries = build(guest, mode, linear, bits, leaf_height, target)
    cr0 = CODE_PG | (WP if wp else 0)
    cr4 = paging | (SMEP if smep else 0) | (SMAP if smap else 0)
    efer = long | (NXE if nxe else 0)
    before = [guest.word(*place) for place in entries]
    found = guest.walk(cr0, cr3, cr4, efer, ac, linear, rights)
    after = [guest.word(*place) for place in entries]
    present, right = allowed(bits, mode, cr0, cr4, efer, ac, rights)
    assert not found.broken
    assert found.found == (present and right)
    if found.found:
        assert found.address == target | linear & ((1 << span) - 1)
        for i, (old, new) in enumerate(zip(before, after, strict=True)):
            marked = A if not (mode == "PAE" and i == 0) else 0
            dirty = D if i == len(before) - 1 and rights & WRITE else 0
            assert new == old | marked | dirty
    else:
        error = found.fault
        assert error & 1 == present
        assert error >> 1 & 1 == bool(rights & WRITE) and error >> 2 & 1 == bool(rights & USER)
        assert error >> 4 & 1 == bool(rights & FETCH and (nxe or smep))
        assert all(new & ~A == old & ~A for old, new in zip(before, after, strict=True)), "a refused walk marks no D"


def test_without_paging_addresses_are_physical():
    guest = Guest()
    found = guest.walk(1, 0, 0, 0, False, 0xFFFF_FFFF_1234_5678, WRITE)
    assert found.found and found.address == 0x1234_5678


@pytest.mark.parametrize(("mode", "bit"), [("4 levels", 47), ("5 levels", 56)])
def test_an_address_that_is_not_canonical_is_refused(mode, bit):
    levels, long, paging = MODES[mode]
    guest = Guest()
    cr3, _ = build(guest, mode, 0, [P | W | U] * levels, 0, 0x5000)
    assert guest.walk(CODE_PG, cr3, paging, long, False, 0, 0).found
    assert not guest.walk(CODE_PG, cr3, paging, long, False, 1 << bit, 0).found
    assert not guest.walk(CODE_PG, cr3, paging, long, False, 1 << 63, 0).found


@pytest.mark.parametrize("mode", sorted(MODES))
def test_a_table_where_there_is_no_memory_is_told(mode):
    _, long, paging = MODES[mode]
    guest = Guest()
    found = guest.walk(CODE_PG, 0x7000_0000, paging, long, False, 0x1000, 0)
    assert not found.found and found.broken


def test_a_bit_that_emulators_set_in_a_pae_root_is_no_matter():
    """QEMU sets the accessed bit in page-directory-pointer entries, where it is reserved."""
    guest = Guest()
    cr3, entries = build(guest, "PAE", 0x4000_1000, [P, P | W, P | W], 0, 0x9000)
    guest.store(entries[0][0], guest.word(*entries[0]) | A, 8)
    assert guest.walk(CODE_PG, cr3, PAE, 0, False, 0x4000_1234, 0).address == 0x9234
