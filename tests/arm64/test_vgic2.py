"""The virtual GICv2 against the model, and each of its registers in each width."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.arm64.board import GICC, GICD, Board
from tests.arm64.test_vgic import SHARED, VCPUS, VgicMachine

TARGETS, SGIR, CLEAR_SENDERS, SET_SENDERS = 0x800, 0xF00, 0xF10, 0xF20
SGIS = [0, 3, 15]
ONES = 0xFFFF_FFFF_FFFF_FFFF


OWN = 1 << 32  # in an address of the test's: whose own registers they are, one more than its number

who = VgicMachine.who


class Vgic2(VgicMachine):
    gicv2 = True

    def register(self, owner, intid, kind, bits=1):
        own = (owner + 1) * OWN if intid < 32 else 0
        return own + GICD + kind + intid * bits // 32 * 4, intid * bits % 32

    def write(self, vcpu, address, value, size=4):
        super().write(address // OWN - 1 if address >= OWN else vcpu, address % OWN, value, size)

    def read(self, vcpu, address, size=4):
        return super().read(address // OWN - 1 if address >= OWN else vcpu, address % OWN, size)

    def accept(self, irq):
        super().accept(irq)
        if irq.intid < 16:
            irq.sender = self.board.interface.sender
            assert irq.sender in irq.senders, "an SGI comes of whom it is not"
            irq.senders.discard(irq.sender)

    def named(self, vcpu, intid):
        return intid | (self.irq(vcpu, intid).sender << 10 if intid < 16 else 0)

    @rule(by=who, intid=st.sampled_from(SHARED), to=st.integers(0, VCPUS))
    def route(self, by, intid, to):
        self.route_to(by, intid, {to})

    @rule(by=who, intid=st.sampled_from(SHARED), to=st.sets(st.integers(0, 7)))
    def route_to(self, by, intid, to):
        """Of several vCPUs that there are, the first is offered it."""
        self.irq(0, intid).target = min((t for t in to if t < VCPUS), default=None)
        self.write(by, GICD + TARGETS + intid, sum(1 << t for t in to), 1)
        there = sum(1 << t for t in to if t < VCPUS)
        assert self.read(by, GICD + TARGETS + intid, 1) == there

    @rule(by=who, intid=st.sampled_from(SGIS), to=st.integers(0, 0xFF), wanted=st.integers(0, 3))
    def send(self, by, intid, to, wanted):
        for vcpu in range(VCPUS):
            if [to >> vcpu & 1, vcpu != by, vcpu == by, False][wanted]:
                self.irq(vcpu, intid).senders.add(by)
        self.write(by, GICD + SGIR, wanted << 24 | to << 16 | intid)

    @rule(owner=who, intid=st.sampled_from(SGIS), senders=st.sets(st.integers(0, 7)), on=st.booleans())
    def set_senders(self, owner, intid, senders, on):
        irq = self.irq(owner, intid)
        there = {s for s in senders if s < VCPUS}
        irq.senders = irq.senders | there if on else irq.senders - there
        address = GICD + (SET_SENDERS if on else CLEAR_SENDERS) + intid
        value = sum(1 << s for s in senders)
        if intid == 3:
            self.write(owner, address & ~3, value << 24)
        else:
            self.write(owner, address, value, 1)

    @rule(owner=who)
    def senders(self, owner):
        for intid in SGIS:
            expected = sum(1 << s for s in self.irq(owner, intid).senders)
            for register in (SET_SENDERS, CLEAR_SENDERS):
                assert self.read(owner, GICD + register + intid, 1) == expected
                word = self.read(owner, (GICD + register + intid) & ~3)
                assert word >> intid % 4 * 8 & 0xFF == expected


TestVgic2 = Vgic2.TestCase


@pytest.mark.parametrize("split", [False, True])
def test_an_sgi_of_several_senders_comes_once_for_each(split):
    guest = Vgic2()
    guest.power_on(lists=1, split=split, priorities=[10])
    for sender in (2, 0, 1, 0):
        guest.send(sender, 3, 1 << 1, 0)
    taken = []
    for _ in range(3):
        guest.acknowledge(1)
        taken.append(guest.irq(1, 3).sender)
        guest.acknowledge(1)
        assert len(guest.running[1]) == 1, "the next waits until this one has ended"
        guest.end(1)
        guest.deactivate(1, 0)
    assert sorted(taken) == [0, 1, 2]
    guest.acknowledge(1)
    assert not guest.running[1]


# Registers


def guest(vcpus=2, cpus=1):
    board = Board(cpus, 4, True)
    made = board.make_guest(vcpus)
    board.load(made[0])
    return board, made


@pytest.mark.parametrize("vcpus", [1, 2, 8])
def test_what_the_distributor_is(vcpus):
    board, made = guest(vcpus)
    assert board.device(made[0], GICD + 0x004) == 2 | vcpus - 1 << 5  # 96 interrupts
    assert board.device(made[0], GICD + 0x008) & 0xFFF == 0x43B
    identification = [board.device(made[0], GICD + at) for at in (0xFE8, 0xFF0, 0xFF4, 0xFF8, 0xFFC)]
    assert identification[0] >> 4 == 2 and identification[1:] == [0x0D, 0xF0, 0x05, 0xB1]


@pytest.mark.parametrize("vcpus", [1, 3, 8])
def test_targets(vcpus):
    """A vCPU's own interrupts are for it, and say which it is; with one vCPU there is nothing to say."""
    board, made = guest(vcpus)
    for n, vcpu in enumerate(made):
        own = 0 if vcpus == 1 else 1 << n
        for at in range(0, 32, 4):
            board.device(vcpu, GICD + TARGETS + at, 4, 0xFFFF_FFFF)
            assert board.device(vcpu, GICD + TARGETS + at) == own * 0x0101_0101
            assert board.device(vcpu, GICD + TARGETS + at + 3, 1) == own
    board.device(made[0], GICD + TARGETS + 40, 4, 0xFF02_0100)
    there = (1 << vcpus) - 1
    expected = 0 if vcpus == 1 else 0xFF02_0100 & there * 0x0101_0101
    assert board.device(made[-1], GICD + TARGETS + 40) == expected
    assert board.device(made[-1], GICD + TARGETS + 43, 1) == expected >> 24
    assert board.device(made[0], GICD + TARGETS + 44) == (0 if vcpus == 1 else 0x0101_0101), "at first to the first"
    assert board.device(made[0], GICD + TARGETS + 96) == 0, "there are no more"


def test_each_vcpu_has_its_own_bank():
    """What one writes of its own interrupts the other does not read; what they share both do."""
    board, (one, other) = guest()
    for at, value in ((0x080, 0x10), (0x100, 0x10), (0x300, 0x10), (0x400, 0x10), (0xF20, 0x02)):
        board.device(one, GICD + at, 4, value)
        assert (board.device(one, GICD + at), board.device(other, GICD + at)) == (value, 0), hex(at)
    board.device(one, GICD + 0x104, 4, 0x80)
    assert board.device(other, GICD + 0x184) == 0x80


def expected_after_ones(at, width, vcpus):
    """What a word or byte of the distributor reads as, all whose bits were written as ones. None: another register has
    changed it since."""
    word = at & ~3
    shared = 0xFFFF_FFFF
    match word:
        case 0x000:
            return 3 if width == 4 else 0
        case 0x004 | 0x008:
            return None
    bank = word % 0x80 // 4
    if 0x080 <= word < 0x400 and width == 4 and bank < 3:
        return None if word >= 0x100 else shared  # set and clear registers follow each other
    if 0x400 <= word < 0x400 + 96 and width in (1, 4):
        return 0xF8F8_F8F8 if width == 4 else 0xF8
    if 0x800 <= word < 0x800 + 96 and width in (1, 4):
        value = (1 << vcpus) - 1 if word >= 0x820 else 1
        return value * (0x0101_0101 if width == 4 else 1)
    if 0xC00 <= word < 0xC18 and width == 4:
        return [0xAAAA_AAAA, 0][word // 4 % 2] if word < 0xC08 else 0xAAAA_AAAA
    if 0xF10 <= word < 0xF30 and width in (1, 4):
        return None
    if 0xFD0 <= word and width == 4:
        return None
    return 0


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_every_register_in_every_width(width):
    """Ones written to any address that is aligned, and read again: no register has bits that it should not have, and
    none answers in a width that it does not offer."""
    board, (vcpu, _) = guest()
    ones = (1 << 8 * width) - 1
    for at in range(0, 0x1000, width):
        board.device(vcpu, GICD + at, width, ones)
        found = board.device(vcpu, GICD + at, width)
        expected = expected_after_ones(at, width, 2)
        assert expected is None or found == expected, (hex(at), hex(found))
    board.way_in()
    board.gich.check()


@given(
    values=st.lists(st.tuples(st.integers(0, 0xFFF), st.sampled_from([1, 2, 4, 8]), st.integers(0, ONES)), max_size=40)
)
def test_no_write_does_harm(values):
    """Whatever is written to the distributor, and to the second page of the CPU interface."""
    board, (vcpu, _) = guest()
    for at, width, value in values:
        aligned = at & ~(width - 1)
        board.device(vcpu, (GICC + 0x1000 if value & 0x100 else GICD) + aligned, width, value & (1 << 8 * width) - 1)
        board.way_in()
        board.interface.check()


def test_senders_are_no_others_business():
    """GICD_ISPENDR shows that an SGI is pending, and neither it nor GICD_ICPENDR changes that."""
    board, (vcpu, _) = guest()
    board.device(vcpu, GICD + 0x200, 4, 0xFFFF)
    assert board.device(vcpu, GICD + 0x200) == 0
    board.device(vcpu, GICD + SET_SENDERS + 5, 1, 0xFF)
    assert board.device(vcpu, GICD + CLEAR_SENDERS + 4) == 0x300, "of the vCPUs that there are"
    board.device(vcpu, GICD + 0x280, 4, 0xFFFF)
    assert board.device(vcpu, GICD + 0x200) == 1 << 5
    board.device(vcpu, GICD + CLEAR_SENDERS + 4, 4, 0x100)
    assert board.device(vcpu, GICD + SET_SENDERS + 5, 1) == 2
    board.device(vcpu, GICD + CLEAR_SENDERS + 5, 1, 2)
    assert board.device(vcpu, GICD + 0x200) == 0


def test_the_second_page_of_the_cpu_interface_reads_as_zero():
    board, (vcpu, _) = guest()
    for width in (1, 2, 4, 8):
        assert all(board.device(vcpu, GICC + 0x1000 + at, width) == 0 for at in range(0, 0x1000, width))


def test_the_interface_is_saved_and_loaded():
    """What each guest wrote to its CPU interface, and the priorities that are active, follow the vCPU."""
    board, made = guest()
    gich = board.gich
    for n, vcpu in enumerate(made):
        if n != 0:
            board.load(vcpu)
        gich.here.vmcr, gich.here.apr = 0x8000_0001 + n, 0x100 << n
        board.save(vcpu)
    for n, vcpu in enumerate(made):
        board.load(vcpu)
        assert (gich.here.vmcr, gich.here.apr) == (0x8000_0001 + n, 0x100 << n)
        board.save(vcpu)
    gich.check()
