"""Devices' interrupts that a guest owns: what the model's rules meet too seldom, with both versions of the GIC."""

import errno

import pytest

from tests.arm64.board import ARM, GICD, Board
from tests.arm64.test_vgic import EDGES, OWNED, ROUTE, SET_ENABLE, VgicMachine
from tests.arm64.test_vgic2 import Vgic2

KINDS = pytest.mark.parametrize("kind", [VgicMachine, Vgic2])


def quiet_guest(kind, lists, split=False):
    """One whose interrupts have the lowest priority but a few."""
    guest = kind()
    guest.power_on(lists=lists, split=split, priorities=[20])
    return guest


@KINDS
@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("intid", OWNED)
def test_a_devices_interrupt_that_has_lost_its_list_register_is_deactivated(kind, intid, split):
    """It is active below others when the guest ends it: there is one list register, and the last one has it."""
    guest = quiet_guest(kind, 1, split)
    guest.device(intid, True)
    guest.acknowledge(0)
    assert guest.board.spi(intid).active
    for n, above in enumerate([32, 33, 40]):
        guest.priority(0, 0, above, 8 - n)
        guest.line(above, True)
        guest.acknowledge(0)
    assert len(guest.running[0]) == 4
    guest.device(intid, False)
    for _, above in guest.running[0][:0:-1]:
        guest.line(above, False)
    for _ in range(4):
        guest.end(0)
        guest.deactivate(0, 0)
    assert not guest.board.spi(intid).active
    guest.device(intid, True)
    guest.acknowledge(0)
    assert guest.running[0][-1][1] == intid
    guest.teardown()


@KINDS
@pytest.mark.parametrize("intid", OWNED)
def test_what_a_guest_makes_pending_in_a_devices_handler_comes_behind_it(kind, intid):
    """Also where nothing else brings the vCPU out."""
    guest = quiet_guest(kind, 4)
    guest.device(intid, True)
    guest.acknowledge(0)
    guest.device(intid, False)
    guest.pend(0, 0, intid, True)
    guest.end(0)
    guest.acknowledge(0)
    assert [number for _, number in guest.running[0]] == [intid]
    guest.end(0)
    assert not guest.board.spi(intid).active
    guest.teardown()


@KINDS
@pytest.mark.parametrize("intid", OWNED)
def test_a_device_raises_what_its_guest_has_just_made_pending(kind, intid):
    """Its handler runs for the guest's own, and again for the device's."""
    guest = quiet_guest(kind, 4)
    guest.pend(0, 0, intid, True)
    guest.acknowledge(0)
    guest.device(intid, True)
    assert guest.board.spi(intid).active, "it waits for the guest"
    guest.end(0)
    guest.acknowledge(0)
    assert [number for _, number in guest.running[0]] == [intid]
    guest.teardown()


@pytest.mark.parametrize("intid", [0, 31, 32 + 64, 32 + 960, 1019, 1020])
def test_interrupts_that_no_device_of_the_guest_can_have(intid):
    board = Board(1)
    board.make_guest(1)
    assert board.host.errno("hv.arm64.spis.assign", board.guest, intid, 0) == errno.EINVAL


def test_a_devices_interrupt_has_one_owner():
    board = Board(1)
    board.make_guest(1)
    board.call(f"{ARM}spis.assign", board.guest, 40, 0)
    assert board.host.errno("hv.arm64.spis.assign", board.guest, 40, 0) == errno.EBUSY
    assert board.call(f"{ARM}spis.owner_of", 40) == board.guest


@pytest.mark.parametrize("spis", [0, 64, 65, 960, 961, 5000])
def test_a_guest_has_as_many_shared_interrupts_as_it_is_given(spis):
    """In whole words, but for the numbers 1020 to 1023, which name none."""
    board = Board(1)
    (vcpu,) = board.make_guest(1, spis=spis)
    expected = min(max(-(-spis // 32), 2), 31)
    assert board.device(vcpu, GICD + 4) & 0x1F == expected
    for word in range(1, 32):
        board.device(vcpu, GICD + SET_ENABLE + word * 4, 4, 0xFFFF_FFFF)
        there = (0x0FFF_FFFF if word == 31 else 0xFFFF_FFFF) if word <= expected else 0
        assert board.device(vcpu, GICD + SET_ENABLE + word * 4) == there
        board.device(vcpu, GICD + ROUTE + word * 256, 8, 5)
        assert board.device(vcpu, GICD + ROUTE + word * 256, 8) == (5 if word <= expected else 0)


@KINDS
@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("intid", OWNED)
def test_a_device_raises_again_before_the_end_is_told(kind, intid, moves):
    """The physical interrupt comes while the list register that was linked to it still lies there, ended; it may be
    for another vCPU by now.
    """
    guest = quiet_guest(kind, 4)
    guest.device(intid, True)
    for again in range(3):
        taker = again % 2 if moves else 0
        guest.acknowledge(taker)
        assert [number for _, number in guest.running[taker]] == [intid]
        if intid in EDGES:
            guest.device(intid, False)
            guest.device(intid, True)
        if moves:
            guest.route(0, intid, 1 - taker)
        guest.end(taker)
    guest.teardown()
