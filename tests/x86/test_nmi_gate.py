"""When a guest takes NMIs (Intel SDM 3A, 6.7.1): a model of its CPU executes IRETs, and traps behind one that began
with the trap flag set.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.common.host import host

GATE = "hv.x86.svm.nmi.NmiGate."
IRET = 1 << 20
TRAP, BS, B0 = 1 << 8, 1 << 14, 1
OTHERS = 1 << 0 | 1 << 27
EVERYTHING = 0x7FF
FLAGS = 0x202


class Cpu:
    def __init__(self):
        self.host = host()
        self.vmcb = self.host.variable("hv.sim.svm.vmcb")
        self.gate = self.host.variable("hv.sim.svm.nmi_gate")
        self.vmcb.intercepts1 = OTHERS
        self.vmcb.rflags = FLAGS
        self.vmcb.dr6 = 0xFFFF0FF0
        self.call("reset")

    def call(self, name):
        self.vmcb.clean = EVERYTHING
        return self.host.call(GATE + name, self.gate, *([] if name == "reset" else [self.vmcb]))

    def iret(self, flags, breakpoint_hit):
        """Returns whether the guest has had a #DB; it comes out as often as its block says."""
        if self.vmcb.intercepts1 & IRET:
            before = self.vmcb.rflags
            self.call("step")
            assert self.vmcb.rflags == before | TRAP and self.vmcb.intercepts1 == OTHERS
            assert self.gate.closed, "an NMI could come before its predecessor's IRET"
        traps = self.vmcb.rflags & TRAP
        self.vmcb.rflags = flags
        if not traps and not breakpoint_hit:
            return False
        self.vmcb.dr6 |= (BS if traps else 0) | (B0 if breakpoint_hit else 0)
        return not self.call("open")


@given(st.booleans(), st.booleans(), st.booleans())
@pytest.mark.parametrize("nmis", [1, 3])
def test_none_comes_within_another(nmis, traced, traced_behind, breakpoint_hit):
    """Nor is the guest's own tracing lost, or told of the hypervisor's."""
    cpu = Cpu()
    for _ in range(nmis):
        cpu.vmcb.dr6 = 0xFFFF0FF0
        cpu.vmcb.rflags = FLAGS | (TRAP if traced else 0)
        cpu.call("close")
        assert cpu.gate.closed and cpu.vmcb.intercepts1 == OTHERS | IRET
        flags = FLAGS | (TRAP if traced_behind else 0)
        had = cpu.iret(flags, breakpoint_hit)
        assert had == (traced or breakpoint_hit)
        assert cpu.vmcb.dr6 & BS == (BS if traced else 0) and cpu.vmcb.dr6 & B0 == breakpoint_hit
        assert cpu.vmcb.rflags == flags
        assert not cpu.gate.closed and cpu.vmcb.intercepts1 == OTHERS


def test_traps_and_returns_at_other_times_are_the_guests():
    cpu = Cpu()
    cpu.call("step")
    assert cpu.vmcb.rflags == FLAGS and not cpu.gate.closed
    assert not cpu.call("open") and cpu.vmcb.dr6 == 0xFFFF0FF0


def test_one_that_is_delivered_again_is_the_same():
    """As when the guest came out while it took it; also between the IRET and its trap."""
    cpu = Cpu()
    cpu.call("close")
    cpu.call("close")
    assert not cpu.iret(FLAGS, False) and not cpu.gate.closed
    cpu.call("close")
    cpu.call("step")
    cpu.call("close")
    assert cpu.gate.closed and cpu.vmcb.intercepts1 == OTHERS | IRET
