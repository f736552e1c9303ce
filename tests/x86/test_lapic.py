"""The local APIC's state against a model by Intel SDM 3A, chapter 10."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.common.host import host

LAPIC = "hv.x86.hvm.lapic.LocalApic."
ID, TPR, PPR, EOI, LDR, DFR, SVR, ESR, ICR, LVT, DIVIDE = 2, 8, 0xA, 0xB, 0xD, 0xE, 0xF, 0x28, 0x30, 0x32, 0x3E
ISR, IRR = 0x10, 0x20
LVT_ERROR, INITIAL_COUNT, CURRENT_COUNT, SELF_IPI = 0x37, 0x38, 0x39, 0x3F
MASKED, PERIODIC, DEADLINE = 1 << 16, 1 << 17, 2 << 17
SEND_ILLEGAL, RECEIVE_ILLEGAL, REGISTER_ILLEGAL = 0x20, 0x40, 0x80
HARDWARE, SOFTWARE = 1, 2  # what holds the APIC back, in the record
BASE, ON, WIDE, BOOT = 0xFEE0_0000, 1 << 11, 1 << 10, 1 << 8
EPERM = 1
IN_MEMORY = {2, 3, *range(8, 0x29), *range(0x30, 0x3A), 0x3E}


class Apic:
    def __init__(self, number=0, x2apic=False):
        self.it = host().ffi.new("x86_hvm_lapic_LocalApic *")
        self.call("reset", number, number == 0)
        if x2apic:
            self.call("write_base", self.it.hw.apic_base_msr | WIDE)
        self.write(SVR, 0x1FF)

    def call(self, name, *arguments):
        return host().call(LAPIC + name, self.it, *arguments)

    def write(self, register, value):
        return self.call("write", register, value)

    def read(self, register):
        return self.call("read", register)

    def base(self, value):
        return host().errno(LAPIC + "write_base", self.it, value)

    def errors(self):
        self.write(ESR, 0)
        return self.read(ESR)

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
    assert read(3) & 0xFF >= 0x10 and apic.hw.apic_base_msr == 0xFEE0_0800
    assert (apic.hw.disabled, apic.hw.timer_divisor, apic.hw.tdt_msr) == (SOFTWARE, 2, 0)
    host().call(f"{LAPIC}reset", apic, 0, True)
    assert apic.hw.apic_base_msr == 0xFEE0_0900


def test_local_vectors_stay_masked_while_the_apic_is_off():
    apic = Apic()
    apic.write(LVT, 0x2_0040)
    assert apic.read(LVT) == 0x2_0040
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
    apic.write(DIVIDE, code)
    assert apic.it.hw.timer_divisor == divider and apic.read(DIVIDE) == code


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


WRITES = st.lists(st.tuples(st.integers(0, 0x3F), st.integers(0, 0xFFFF_FFFF)), max_size=40)


@given(WRITES, st.sets(st.integers(16, 255)))
def test_the_records_are_what_memory_shows(writes, posted):
    """public/arch-x86/hvm/save.h: registers at 16 times their number, nothing between them; what was posted is in the
    request register as soon as somebody looks."""
    apic = Apic()
    for register, value in writes:
        apic.write(register, value)
    for vector in posted:
        apic.call("post", vector)
    asked = apic.vector_bits(IRR)
    assert posted <= asked
    data = list(apic.it.regs.data)
    assert {i for i, word in enumerate(data) if word} <= {4 * register for register in IN_MEMORY}
    for register in IN_MEMORY - {PPR, CURRENT_COUNT}:
        assert apic.read(register) == data[4 * register]
    hw = apic.it.hw
    assert hw.disabled == (0 if data[4 * SVR] & 0x100 else SOFTWARE)
    code = data[4 * DIVIDE]
    assert hw.timer_divisor == {0: 2, 1: 4, 2: 8, 3: 16, 8: 32, 9: 64, 10: 128, 11: 1}[code]


@given(st.integers(0, 255))
def test_what_is_not_there_in_memory_is_an_error(register):
    """10.5.3, bit 7; what can only be read, or only be written, is there."""
    for access in (lambda apic: apic.read(register), lambda apic: apic.write(register, 0)):
        apic = Apic()
        access(apic)
        assert apic.errors() == (0 if register in IN_MEMORY else REGISTER_ILLEGAL)


@given(st.integers(0, 15), st.booleans(), st.integers(0, 255))
def test_a_vector_that_cannot_be_taken_is_an_error(vector, masked, error_vector):
    """10.5.3, bit 6. The interrupt for it comes once, until the errors have been read, unless it is masked or its own
    vector cannot be taken either."""
    apic = Apic()
    apic.write(LVT_ERROR, error_vector | masked << 16)
    for _ in range(2):
        apic.call("post", vector)
        told = not masked and error_vector >= 16
        assert apic.call("next_vector") == (error_vector if told else 0)
        assert apic.vector_bits(IRR) == ({error_vector} if told else set())
        if told:
            apic.call("accept", error_vector)
            apic.write(EOI, 0)
        apic.call("post", vector)
        assert apic.call("next_vector") == 0
        assert apic.errors() == RECEIVE_ILLEGAL
    assert apic.errors() == 0


def test_an_error_of_another_kind_is_told_of_too():
    apic = Apic()
    apic.write(LVT_ERROR, 0x50)
    apic.read(0x70)
    assert apic.call("next_vector") == 0x50
    apic.call("accept", 0x50)
    apic.write(EOI, 0)
    apic.call("post", 3)
    assert apic.call("next_vector") == 0x50
    assert apic.errors() == REGISTER_ILLEGAL | RECEIVE_ILLEGAL


def mode_of(base):
    return {0: "off", ON: "memory", ON | WIDE: "x2apic"}.get(base & (ON | WIDE))


@given(st.lists(st.sampled_from([0, ON, WIDE, ON | WIDE]), max_size=8), st.integers(0, 127))
def test_ways_from_one_mode_to_another(values, vcpu):
    """10.12.5. An APIC that was off is as at power-on; one that becomes an x2APIC keeps its registers."""
    number = vcpu * 2
    apic = Apic(number)
    apic.write(TPR, 0x35)
    mode, kept = "memory", 0x35
    for value in values:
        new = mode_of(value)
        wrong = new is None or (mode, new) in (("off", "x2apic"), ("x2apic", "memory"))
        assert apic.base(BASE | value) == (EPERM if wrong else 0)
        if wrong:
            continue
        if (mode, new) == ("off", "memory"):
            kept = 0
        mode = new
        assert apic.it.hw.apic_base_msr == BASE | value
        assert apic.call("is_in_memory") == (mode == "memory")
        assert apic.call("is_reachable") == (mode != "off") and bool(apic.it.hw.disabled & HARDWARE) == (mode == "off")
        if mode == "off":
            assert apic.call("next_vector") == 0
            continue
        assert apic.read(TPR) == kept
        assert apic.read(ID) == (number if mode == "x2apic" else number << 24)
        assert apic.read(LDR) == ((number >> 4) << 16 | 1 << (number & 15) if mode == "x2apic" else 0)
        assert apic.call("id") == number


@given(st.integers(0, 2**64 - 1) | st.sampled_from([BASE | ON | 1 << i for i in range(64)]))
def test_the_page_stays_where_it_is(value):
    apic = Apic()
    allowed = value & ~(ON | WIDE | BOOT) == BASE and mode_of(value) is not None
    assert apic.base(value) == (0 if allowed else EPERM)
    assert apic.it.hw.apic_base_msr == (value if allowed else BASE | ON | BOOT)


@given(st.booleans(), st.integers(0, 127), st.sets(st.integers(16, 255)))
def test_init_leaves_number_and_mode(wide, vcpu, posted):
    """10.4.7.3 and 10.12.5.1."""
    apic = Apic(vcpu * 2, wide)
    base = apic.it.hw.apic_base_msr
    for register in (TPR, SVR, LVT, DIVIDE, INITIAL_COUNT, 0x31, ICR):
        apic.write(register, 0x1_0103)
    for vector in posted:
        apic.call("post", vector)
    apic.call("initialise")
    fresh = Apic(vcpu * 2, wide)
    fresh.write(SVR, 0xFF)
    assert apic.it.hw.apic_base_msr == base
    assert list(apic.it.regs.data) == list(fresh.it.regs.data)
    assert apic.call("next_vector") == 0 and not apic.vector_bits(IRR)
    assert apic.it.hw.disabled == SOFTWARE and apic.it.hw.timer_divisor == 2


VALUES = st.integers(0, 2**64 - 1) | st.integers(0, 63).map(lambda bit: 1 << bit)


@given(st.sampled_from([TPR, EOI, SVR, ESR, ICR, *range(LVT, LVT + 6), INITIAL_COUNT, DIVIDE, SELF_IPI]), VALUES)
def test_reserved_bits_of_x2apic(register, value):
    """10.12.1.3. Bits that can only be read are none of them."""
    local = {0: 0x7_10FF, 1: 0x1_17FF, 2: 0x1_17FF, 3: 0x1_F7FF, 4: 0x1_F7FF, 5: 0x1_10FF}
    allowed = {
        TPR: 0xFF, EOI: 0, SVR: 0x3FF, ESR: 0, ICR: 0xFFFF_FFFF_000C_CFFF, INITIAL_COUNT: 0xFFFF_FFFF, DIVIDE: 0xB,
        SELF_IPI: 0xFF, **{LVT + i: bits for i, bits in local.items()},
    }  # fmt: skip
    apic = Apic(x2apic=True)
    assert apic.call("can_hold", register, value) == (value & ~allowed[register] == 0)


@given(st.lists(st.sampled_from([0, PERIODIC, DEADLINE, PERIODIC | DEADLINE]), max_size=6))
def test_a_timer_that_changes_what_it_compares_is_off(modes):
    """10.5.4.1: there is no count while it compares with the time stamp counter, and no deadline while it counts."""
    apic = Apic()
    counts = True
    for mode in modes:
        apic.write(INITIAL_COUNT, 100)
        apic.it.hw.tdt_msr = 200
        assert apic.read(INITIAL_COUNT) == (100 if counts else 0)
        apic.write(LVT, mode | 0x40)
        stays = counts == (not mode & DEADLINE)
        counts = not mode & DEADLINE
        assert apic.it.hw.tdt_msr == (200 if stays else 0)
        assert apic.read(INITIAL_COUNT) == (100 if stays and counts else 0)
        assert apic.call("counts") == counts and apic.call("repeats") == (mode == PERIODIC)


def test_what_a_command_sends_only_a_write_of_it_says():
    apic = Apic()
    assert apic.write(ICR, 0x4_5678) and not apic.write(0x31, 0x1234_5678)
    assert apic.read(ICR) == 0x4_4678 and apic.read(0x31) == 0x1200_0000
    assert not apic.write(SELF_IPI, 0x40) and apic.errors() == REGISTER_ILLEGAL
    wide = Apic(x2apic=True)
    assert wide.write(SELF_IPI, 0x40) and wide.read(ICR) == 0x4_0040
