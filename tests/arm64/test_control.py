"""What each CPU is set to before it runs guests."""

from tests.arm64.board import ARM, Board


def test_the_os_lock_is_opened() -> None:
    """A reset locks it, and with it all debug exceptions but that of BRK (Arm DDI 0487, D2.2); guests read that it is
    open, and what they write to it is ignored.
    """
    board = Board(1)
    board["oslar_el1"] = 1
    board.call(f"{ARM}control.start_guest_control")
    assert board["oslar_el1"] == 0
