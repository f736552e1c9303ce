"""Instructions that trap and are performed in the guest's place: the vCPU goes on behind each, as if it had done it."""

from typing import Any

import pytest

from tests.arm64.board import ARM, GICD, Board

RAM = 0x4000_0000
WFX, HVC, SMC, REGISTER, DATA_ABORT = 0x01, 0x16, 0x17, 0x18, 0x24
LONG = 1 << 25
SINGLE_STEP = 1 << 21
PSTATE = 0x6000_03C5 | SINGLE_STEP

READ = 1
WFE = 1
DECODED, WORD, WRITE, TRANSLATION = 1 << 24, 2 << 22, 1 << 6, 0x7


def register(op0: int, op1: int, crn: int, crm: int, op2: int) -> int:
    return op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | crm << 1


EMULATED = {
    "load": (DATA_ABORT, DECODED | WORD | TRANSLATION),
    "store": (DATA_ABORT, DECODED | WORD | WRITE | TRANSLATION),
    "read of a feature register": (REGISTER, register(3, 0, 0, 4, 0) | READ),
    "read of a debug register": (REGISTER, register(2, 0, 0, 0, 4) | READ),
    "write of a debug register": (REGISTER, register(2, 0, 0, 0, 4)),
    "write of a timer register": (REGISTER, register(3, 3, 14, 2, 1)),
    "WFI": (WFX, 0),
    "WFE": (WFX, WFE),
    "SMC": (SMC, 0),
}


def exit_of(kind: int, iss: int, pstate: int = PSTATE) -> Any:
    """What a running vCPU's context is after an exit."""
    return exit_on_board(kind, iss, pstate)[1]


def exit_on_board(kind: int, iss: int, pstate: int = PSTATE) -> tuple[Board, Any]:
    board = Board(1)
    (vcpu,) = board.make_guest(1)
    board.guest.state = 1
    board.core("vcpu_up", vcpu, RAM, 0)
    assert board.core("settle") == vcpu
    board["far_el2"], board["hpfar_el2"] = GICD, GICD >> 12 << 4
    context = board.context(vcpu)
    context.pc, context.pstate = RAM, pstate
    context.x[0] = 0x8400_0000
    board.call(f"{ARM}exits.handle", vcpu, context, kind << 26 | LONG | iss)
    return board, context


@pytest.mark.parametrize("name", EMULATED)
@pytest.mark.parametrize("stepping", [False, True])
def test_a_debugger_steps_over_what_is_emulated(name: str, stepping: bool) -> None:
    """It is one step: the exception that ends it comes before the next instruction (Arm DDI 0487, D2.12.4)."""
    kind, iss = EMULATED[name]
    context = exit_of(kind, iss, PSTATE if stepping else PSTATE & ~SINGLE_STEP)
    assert (context.pc, context.pstate) == (RAM + 4, PSTATE & ~SINGLE_STEP)


def it(state: int) -> int:
    """ITSTATE where PSTATE has it."""
    return state >> 2 << 10 | (state & 3) << 25


@pytest.mark.parametrize(
    ("before", "after"), [(0, 0), (0x08, 0), (0x18, 0), (0x06, 0x0C), (0x0C, 0x18), (0x11, 0x02), (0xEB, 0xF6)]
)
def test_a_condition_of_an_it_block_is_used_up(before: int, after: int) -> None:
    """A program of 32 bits has a device's registers: what follows an access has the block's next condition."""
    mode = 0x6000_0030  # Thumb, EL0
    kind, iss = EMULATED["load"]
    context = exit_of(kind, iss, mode | it(before))
    assert (context.pc, context.pstate) == (RAM + 4, mode | it(after))


def test_a_call_is_stepped_by_the_cpu_itself() -> None:
    context = exit_of(HVC, 0)
    assert (context.pc, context.pstate) == (RAM, PSTATE)


def test_an_instruction_that_is_undefined_has_not_been_stepped_over() -> None:
    """The exception comes instead, and returns to it."""
    board, context = exit_on_board(REGISTER, register(3, 0, 9, 12, 0) | READ)
    assert context.pc == 0x200, "at the vectors"
    assert (board["elr_el1"], board["spsr_el1"]) == (RAM, PSTATE)
    assert context.pstate & SINGLE_STEP == 0
