"""What the control block says of an interrupt that a guest is offered as a virtual one (AMD APM 2, 15.21.4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common.host import host

WINDOW, IRET = 1 << 4, 1 << 20  # intercepts
PENDING, IGNORES_TPR, MASKING = 1 << 8, 1 << 20, 1 << 24
EVERYTHING = 0x7FF
INTERCEPTS_CHANGED, INTERRUPT_CHANGED = 1 << 0, 1 << 3
CR8 = 1 << 8


@given(st.integers(0, 255), st.integers(0, 15), st.booleans(), st.booleans())
@pytest.mark.parametrize("behind", [False, True])
def test_an_offer_is_taken_once_or_left(behind, vector, tpr, window, taken):
    """It takes the place of a window that was open, the guest's task priority and all else stay as they are, and what
    the CPU has cached of it is told.
    """
    vmcb = host().variable("hv.sim.svm.vmcb")
    others = 1 << 0 | 1 << 27
    vmcb.intercepts1 = others | (WINDOW if window else 0)
    vmcb.interrupt = MASKING | tpr | (PENDING | 0x77 << 32 if window else 0)
    vmcb.cr_writes = CR8 if window else 0
    vmcb.clean = EVERYTHING
    host().call("hv.x86.svm.offer.offer", vmcb, vector)
    assert vmcb.interrupt & ~(0xF << 16) == MASKING | tpr | PENDING | IGNORES_TPR | vector << 32
    assert vmcb.intercepts1 == others and vmcb.cr_writes == CR8
    assert not vmcb.clean & (INTERCEPTS_CHANGED | INTERRUPT_CHANGED)
    if behind:
        host().call("hv.x86.svm.offer.come_out_behind", vmcb)
        assert vmcb.intercepts1 == others | IRET
    if taken:
        vmcb.interrupt &= ~PENDING
    vmcb.clean = EVERYTHING
    assert host().call("hv.x86.svm.offer.withdraw", vmcb, False) == (not taken)
    assert vmcb.interrupt >> 32 == vector
    assert not vmcb.interrupt & (PENDING | IGNORES_TPR) and vmcb.interrupt & (MASKING | 0xF) == MASKING | tpr
    assert vmcb.intercepts1 == others and vmcb.cr_writes == 0
    assert not vmcb.clean & (INTERCEPTS_CHANGED | INTERRUPT_CHANGED)
