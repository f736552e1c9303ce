"""A guest's timers: the virtual one in the hardware and out of it, on whichever CPU, and the emulated physical one."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.arm64.board import (
    ARM,
    FREQUENCY,
    GICD,
    GICR,
    PHYSICAL_TIMER,
    TICK,
    VIRTUAL_TIMER,
    Board,
    Interface,
)

CPUS = 2
PRIVATE = GICR + 0x1_0000
VALUE, CONTROL, COMPARE = range(3)
IDLE = 0x100
MASK = (1 << 64) - 1


def enable(board, vcpu, intid):
    board.device(vcpu, GICD, 4, 0x13)
    board.device(vcpu, PRIVATE + 0x100, 4, 1 << intid)


def interface_on(board):
    board["ich_vmcr_el2"] = 0xF8 << 24 | 3


class VirtualTimerMachine(RuleBasedStateMachine):
    """One vCPU that moves between CPUs, and always leaves the guest after each step."""

    @initialize(before=st.integers(0, 10**12))
    def power_on(self, before):
        self.board = Board(CPUS)
        self.board.advance(before)
        (self.vcpu,) = self.board.make_guest(1)
        self.offset = self.board.ticks
        enable(self.board, self.vcpu, VIRTUAL_TIMER)
        self.cpu = None
        self.control, self.compare = 0, 0
        self.active = False
        self.blocked = False

    @property
    def due(self):
        return self.control & 3 == 1 and self.board.ticks - self.offset >= self.compare

    def loaded(self):
        return self.cpu is not None

    def settle(self):
        if self.cpu is None:
            return
        self.board.enter(self.cpu)
        cpu = self.board.extension(self.vcpu, "vgic_state_VgicCpu")
        for _ in range(3):
            self.board.timer_rings()
            cpu.dirty = 1
            self.board.way_in()
        Interface(self.board).check()

    @precondition(lambda self: not self.loaded())
    @rule(cpu=st.integers(0, CPUS - 1))
    def run(self, cpu):
        self.cpu = cpu
        self.board.enter(cpu)
        self.board.load(self.vcpu)
        interface_on(self.board)
        self.vcpu.blocked = False
        self.settle()

    @precondition(loaded)
    @rule(blocked=st.booleans())
    def stop(self, blocked):
        self.board.enter(self.cpu)
        if blocked and not self.board.call(f"{ARM}virq.has_interrupt", self.vcpu):
            self.vcpu.blocked = True
        self.board.save(self.vcpu)
        assert not self.board.timer_active, "a vCPU that has gone keeps the CPU's timer interrupt"
        self.cpu = None

    @rule(ticks=st.integers(0, 5000))
    def time_passes(self, ticks):
        self.board.advance(ticks * TICK)
        for cpu in range(CPUS):
            self.board.enter(cpu)
            self.board.call("hv.sim.machine.poll")
            self.board.call("hv.common.kernel.softirq.run_softirqs")
        self.settle()

    @precondition(loaded)
    @rule(control=st.sampled_from([0, 1, 1, 1, 3, 2]), ticks=st.integers(-100, 4000) | st.just(1 << 62))
    def set_timer(self, control, ticks):
        self.board.enter(self.cpu)
        self.control = control
        self.compare = (self.board.ticks - self.offset + ticks) & MASK
        self.board["cntv_ctl_el0"] = control
        self.board["cntv_cval_el0"] = self.compare
        self.settle()

    @precondition(loaded)
    @rule()
    def take(self):
        self.board.enter(self.cpu)
        found = Interface(self.board).acknowledge(0 if self.active else IDLE)
        if self.active:
            assert found is None
        else:
            assert (found is not None) == self.due, "the interrupt is lost, or comes too early"
        self.active = self.active or found is not None
        self.settle()

    @precondition(lambda self: self.loaded() and self.active)
    @rule()
    def end(self):
        self.board.enter(self.cpu)
        Interface(self.board).end(VIRTUAL_TIMER)
        self.active = False
        self.settle()

    @precondition(loaded)
    @rule()
    def end_by_force(self):
        self.board.enter(self.cpu)
        self.board.device(self.vcpu, PRIVATE + 0x380, 4, 1 << VIRTUAL_TIMER)
        self.active = False
        self.settle()

    @precondition(lambda self: hasattr(self, "board"))
    @invariant()
    def nobody_sleeps_over_it(self):
        """A blocked vCPU is woken a moment after its deadline."""
        if not self.loaded() and self.due and not self.active:
            self.board.advance(2 * TICK)
            for cpu in range(CPUS):
                self.board.enter(cpu)
                self.board.call("hv.sim.machine.poll")
                self.board.call("hv.common.kernel.softirq.run_softirqs")
            assert not self.vcpu.blocked
            bank = self.board.extension(self.vcpu, "vgic_state_VgicCpu").private
            assert bank.line >> VIRTUAL_TIMER & 1

    @precondition(lambda self: hasattr(self, "board"))
    @invariant()
    def the_physical_interrupt_follows(self):
        for cpu in range(CPUS):
            self.board.enter(cpu)
            if cpu != self.cpu:
                assert not self.board.timer_active
            elif self.active:
                assert self.board.timer_active or not self.due


TestVirtualTimer = VirtualTimerMachine.TestCase


def loaded_board(before=0):
    board = Board(1)
    board.advance(before)
    (vcpu,) = board.make_guest(1)
    enable(board, vcpu, PHYSICAL_TIMER)
    board.load(vcpu)
    interface_on(board)
    return board, vcpu


def ring(board):
    board.call("hv.sim.machine.poll")
    board.call("hv.common.kernel.softirq.run_softirqs")
    board.way_in()


def read(board, vcpu, register):
    return board.call(f"{ARM}vtimer.read_physical", vcpu, register)


def write(board, vcpu, register, value):
    board.call(f"{ARM}vtimer.write_physical", vcpu, register, value)
    board.way_in()


@given(before=st.integers(0, 10**10), wait=st.integers(-(2**31), 2**31 - 1))
def test_the_value_register_counts_down_to_the_deadline(before, wait):
    board, vcpu = loaded_board(before)
    write(board, vcpu, VALUE, wait & 0xFFFF_FFFF)
    assert read(board, vcpu, COMPARE) == (board.ticks + wait) & MASK
    deadline = read(board, vcpu, COMPARE)  # one before the counter's beginning is far off: both are unsigned (D11.2.4)
    board.advance(1000 * TICK)
    assert read(board, vcpu, VALUE) == (wait - 1000) & 0xFFFF_FFFF
    assert read(board, vcpu, CONTROL) == 0
    write(board, vcpu, CONTROL, 0xFF)
    assert read(board, vcpu, CONTROL) == 3 | (4 if deadline <= board.ticks else 0)


@given(wait=st.integers(1, 10**7))
def test_the_physical_timer_interrupts_at_its_deadline(wait):
    board, vcpu = loaded_board()
    write(board, vcpu, VALUE, wait)
    write(board, vcpu, CONTROL, 1)
    board.advance((wait - 1) * TICK)
    ring(board)
    assert Interface(board).pending(IDLE) is None
    board.advance(TICK)
    ring(board)
    assert Interface(board).pending(IDLE) == (0, PHYSICAL_TIMER)
    write(board, vcpu, CONTROL, 3)
    assert Interface(board).pending(IDLE) is None


def test_a_deadline_beyond_reach_never_comes():
    board, vcpu = loaded_board()
    write(board, vcpu, CONTROL, 1)
    write(board, vcpu, COMPARE, MASK)
    board.advance(10**15)
    ring(board)
    assert Interface(board).pending(IDLE) is None
    write(board, vcpu, COMPARE, 5)
    assert Interface(board).pending(IDLE) == (0, PHYSICAL_TIMER)


def test_a_cpu_that_is_switched_on_has_its_timers_off():
    board, vcpu = loaded_board()
    write(board, vcpu, COMPARE, 5)
    write(board, vcpu, CONTROL, 1)
    board["cntv_ctl_el0"] = 1
    board.save(vcpu)
    board.call(f"{ARM}vtimer.Vtimer.reset", board.extension(vcpu, "vtimer_Vtimer"))
    board.load(vcpu)
    assert board["cntv_ctl_el0"] == 0
    assert read(board, vcpu, CONTROL) == 0
    assert FREQUENCY * TICK == 10**9
