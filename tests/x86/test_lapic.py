"""The local APIC's state against a model by Intel SDM 3A, chapter 10."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.host import host

LAPIC = "hv.x86.hvm.lapic.LocalApic."
ID, TPR, PPR, EOI, LDR, DFR, SVR, ESR, ICR, LVT, DIVIDE = 2, 8, 0xA, 0xB, 0xD, 0xE, 0xF, 0x28, 0x30, 0x32, 0x3E
ISR, IRR = 0x10, 0x20
NOTHING, SEND, TIMER = range(3)


class Apic:
    def __init__(self, number=0, x2apic=False):
        self.it = host().ffi.new("x86_hvm_lapic_LocalApic *")
        self.call("reset", number, number == 0)
        if x2apic:
            self.call("turn_x2apic_on")
        self.write(SVR, 0x1FF)

    def call(self, name, *arguments):
        return host().call(LAPIC + name, self.it, *arguments)

    def write(self, register, value):
        return self.call("write", register, value)

    def read(self, register):
        return self.call("read", register)

    def vector_bits(self, first):
        words = [self.read(first + i) for i in range(8)]
        return {i * 32 + b for i, word in enumerate(words) for b in range(32) if word >> b & 1}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("post"), st.integers(16, 255)),
        st.tuples(st.just("take"), st.just(0)),
        st.tuples(st.just("end"), st.just(0)),
        st.tuples(st.just("priority"), st.integers(0, 255)),
        st.tuples(st.just("enable"), st.booleans()),
    ),
    max_size=60,
)


@given(STEPS)
@settings(deadline=None)
def test_the_highest_interrupt_that_nothing_holds_back_is_next(steps):
    apic = Apic()
    requested, served, tpr, enabled = set(), set(), 0, True
    for what, value in steps:
        if what == "post":
            apic.call("post", value)
            requested.add(value)
        elif what == "end":
            apic.write(EOI, 0)
            served -= {max(served, default=0)}
        elif what == "priority":
            apic.write(TPR, value)
            tpr = value
        elif what == "enable":
            apic.write(SVR, 0xFF | value << 8)
            enabled = value
        highest = max(served, default=0)
        ppr = tpr if tpr >> 4 >= highest >> 4 else highest & 0xF0
        wanted = max(requested, default=0)
        wanted = wanted if enabled and wanted >> 4 > ppr >> 4 else 0
        assert apic.call("next_vector") == wanted
        held = max(requested, default=0)
        if not wanted:
            behind = held if enabled and held >> 4 > highest >> 4 else 0
            assert apic.call("behind_priority") == behind
        if what == "take" and wanted:
            apic.call("accept", wanted)
            requested.discard(wanted)
            served.add(wanted)
            ppr = wanted & 0xF0 if wanted >> 4 > tpr >> 4 else tpr
        assert apic.vector_bits(ISR) == served and apic.vector_bits(IRR) == requested
        assert apic.read(PPR) == ppr


def test_an_apic_begins_as_the_manual_says():
    """10.4.7.1."""
    apic = host().ffi.new("x86_hvm_lapic_LocalApic *")
    host().call(f"{LAPIC}reset", apic, 6, False)
    read = lambda register: host().call(f"{LAPIC}read", apic, register)  # noqa: E731
    assert (read(ID), read(SVR), read(DFR), read(LDR), read(TPR)) == (6 << 24, 0xFF, 0xFFFF_FFFF, 0, 0)
    assert [read(LVT + i) for i in range(6)] == [0x1_0000] * 6
    assert read(3) & 0xFF >= 0x10 and apic.base == 0xFEE0_0800
    host().call(f"{LAPIC}reset", apic, 0, True)
    assert apic.base == 0xFEE0_0900


def test_local_vectors_stay_masked_while_the_apic_is_off():
    apic = Apic()
    assert apic.write(LVT, 0x2_0040) == TIMER and apic.read(LVT) == 0x2_0040
    apic.write(SVR, 0xFF)
    assert apic.read(LVT) == 0x3_0040
    apic.write(LVT, 0x40)
    assert apic.read(LVT) == 0x1_0040


@given(st.integers(0, 0xFFFF_FFFF), st.integers(0, 5))
def test_local_vectors_keep_what_they_have(value, index):
    apic = Apic()
    apic.write(LVT + index, value)
    assert apic.read(LVT + index) & ~value == 0 and not apic.read(LVT + index) & 1 << 12


@given(st.integers(0, 0xFFFF_FFFF))
def test_errors_are_latched_by_a_write(value):
    apic = Apic()
    apic.it.errors = 0x20
    assert apic.read(ESR) == 0
    apic.write(ESR, value)
    assert apic.read(ESR) == 0x20
    apic.write(ESR, value)
    assert apic.read(ESR) == 0


@pytest.mark.parametrize(("code", "divider"), [(0, 2), (1, 4), (2, 8), (3, 16), (8, 32), (9, 64), (10, 128), (11, 1)])
def test_dividers(code, divider):
    """Figure 10-10."""
    apic = Apic()
    assert apic.write(DIVIDE, code) == TIMER and apic.call("divider") == divider


@given(st.integers(0, 0x3F))
def test_which_registers_x2apic_has(register):
    """Table 10-6."""
    readable = {2, 3, 8, 0xA, 0xD, 0xF, *range(0x10, 0x29), 0x30, *range(0x32, 0x39), 0x39, 0x3E}
    writable = {8, 0xB, 0xF, 0x28, 0x30, *range(0x32, 0x39), 0x3E, 0x3F}
    assert Apic(x2apic=True).call("exists", register, False) == (register in readable)
    assert Apic(x2apic=True).call("exists", register, True) == (register in writable)


@given(st.integers(0, 127), st.integers(0, 0xFFFF_FFFF))
def test_whom_x2apic_addresses(vcpu, destination):
    """10.12.10.2: a cluster of sixteen, and a bit in it."""
    number = vcpu * 2
    apic = Apic(number, x2apic=True)
    assert apic.read(LDR) == (number >> 4) << 16 | 1 << (number & 15)
    broadcast = destination == 0xFFFF_FFFF
    assert apic.call("answers", destination, False, True) == (destination == number or broadcast)
    logical = destination >> 16 == number >> 4 and destination >> (number & 15) & 1
    assert apic.call("answers", destination, True, True) == bool(logical or broadcast)
    assert apic.call("answers", (number >> 4) << 16 | 1 << (number & 15), True, True)


@given(st.integers(0, 127), st.integers(0, 0xFF), st.integers(0, 0xFF), st.booleans())
def test_whom_xapic_addresses(vcpu, own, destination, flat):
    """10.6.2.2."""
    apic = Apic(vcpu * 2)
    apic.write(LDR, own << 24)
    apic.write(DFR, 0xFFFF_FFFF if flat else 0x0FFF_FFFF)
    assert apic.call("answers", destination, False, False) == (destination in (vcpu * 2, 0xFF))
    if flat:
        wanted = bool(own & destination)
    else:
        wanted = own >> 4 == destination >> 4 and bool(own & destination & 0xF)
    assert apic.call("answers", destination, True, False) == (wanted or destination == 0xFF)
