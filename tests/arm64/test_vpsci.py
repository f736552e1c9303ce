"""The firmware that a guest calls: any sequence of PSCI calls by any of its vCPUs, moved between CPUs as the scheduler
likes, against a model of the interface (Arm DEN 0022); and what is no function of it.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.arm64.board import ARM, GICD, GICR, TICK, VIRTUAL_TIMER, Board

VCPUS = 3
CPUS = 2
HVC, SMC = 0x16, 0x17
INSTRUCTION = 4
WORD = (1 << 64) - 1
SLICE = 10_000_000  # ns

VERSION, CPU_OFF, MIGRATE_INFO_TYPE = 0x8400_0000, 0x8400_0002, 0x8400_0006
SYSTEM_OFF, SYSTEM_RESET, FEATURES = 0x8400_0008, 0x8400_0009, 0x8400_000A
CPU_SUSPEND, CPU_ON, AFFINITY_INFO = 0xC400_0001, 0xC400_0003, 0xC400_0004
WIDE = 1 << 30
SMCCC_VERSION, ARCH_FEATURES = 0x8000_0000, 0x8000_0001
OFFERED = {
    *(VERSION, CPU_OFF, MIGRATE_INFO_TYPE, SYSTEM_OFF, SYSTEM_RESET, FEATURES, SMCCC_VERSION),
    *(CPU_SUSPEND, CPU_SUSPEND & ~WIDE, CPU_ON, CPU_ON & ~WIDE, AFFINITY_INFO, AFFINITY_INFO & ~WIDE),
}

SUCCESS, NOT_SUPPORTED, INVALID_PARAMETERS, DENIED, ALREADY_ON, INVALID_ADDRESS = 0, -1, -2, -3, -4, -9
ON, OFF, NO_TRUSTED_OS = 0, 1, 2

RAM = 0x4000_0000
RAM_BYTES = 0x1_0000
DEVICE = 0x5000_0000
RAM_KIND, DEVICE_KIND = 1, 3
EL1_MASKED = 0x3C5  # PSTATE as a CPU starts: EL1 with its own stack pointer; D, A, I and F masked
SCTLR_AT_RESET = 0x00C5_0078
UP, SHUT_DOWN = 1, 2
POWER_OFF, REBOOT = 0, 1
SET_ENABLE, SET_PENDING, CLEAR_PENDING = 0x100, 0x200, 0x280
PRIVATE = GICR + 0x1_0000
FRAMES = 0x2_0000

entries = st.sampled_from([RAM, RAM + 4, RAM + RAM_BYTES - 4])
wrong_entries = st.sampled_from([RAM + 1, RAM + 2, RAM - 4, RAM + RAM_BYTES, DEVICE, 0, WORD & ~3, 1 << 48])
wrong_places = st.sampled_from([VCPUS, 0xF, 0x10, 0x100, 0x1_0000, 1 << 31, 1 << 32, 0xFFFF_FFFF])
callers = st.integers(0, CPUS - 1)


def signed(value):
    return value - (1 << 64) if value >> 63 else value


def guest_board(cpus=CPUS, vcpus=VCPUS):
    """A domain that runs, with some memory and a device's registers, and its vCPUs, all down."""
    board = Board(cpus)
    made = board.make_guest(vcpus)
    for gfn in range(RAM >> 12, RAM + RAM_BYTES >> 12):
        mfn = board.call("hv.common.mm.ownership.allocate_for", board.guest.id, 0)
        add(board, gfn, mfn, RAM_KIND)
    add(board, DEVICE >> 12, 0x900, DEVICE_KIND)
    board.guest.state = UP
    return board, made


def add(board, gfn, mfn, kind):
    flush = board.call("hv.common.mm.p2m.P2m.add", board.p2m(board.guest), gfn, mfn, 0, kind)
    board.call("hv.common.mm.p2m.GuestFlush.flush", board.ffi.addressof(flush))


def call_by(board, vcpu, function, *arguments, by=HVC):
    """What the vCPU, which is loaded here, finds in x0. Nothing else of it may change but its PC."""
    context = board.context(vcpu)
    words = [function, *arguments]
    for i in range(31):
        context.x[i] = words[i] & WORD if i < len(words) else 0xDEAD_0000 + i
    pc = RAM + 0x100
    context.pc = pc + (INSTRUCTION if by == HVC else 0)  # HVC prefers the next instruction, a trapped SMC itself
    before = [context.x[i] for i in range(1, 31)]
    board.call(f"{ARM}exits.handle", vcpu, context, by << 26 | 1 << 25)
    assert [context.x[i] for i in range(1, 31)] == before
    assert context.pc == pc + INSTRUCTION
    return signed(context.x[0])


class Model:
    """One vCPU."""

    def __init__(self):
        self.down = True
        self.suspended = False
        self.pending = False
        self.fresh = None  # where it begins and with what, until it first runs


class FirmwareMachine(RuleBasedStateMachine):
    @initialize()
    def power_on(self):
        self.board, self.vcpus = guest_board()
        self.models = [Model() for _ in self.vcpus]
        self.here = [None] * CPUS  # which vCPU each CPU has loaded
        self.board.core("vcpu_up", self.vcpus[0], RAM, 7)
        self.models[0].down = False
        self.models[0].fresh = (RAM, 7)
        self.turn()
        self.board.enter(self.here.index(0))
        self.board.device(self.vcpus[0], GICD, 4, 0x13)  # now: when it changes, whoever waits looks again, and goes on

    def turn(self):
        """Every CPU goes through the end of an exit, as often as it takes."""
        for _ in range(4):
            for cpu in range(CPUS):
                self.board.enter(cpu)
                self.board.call("hv.sim.machine.poll")
                running = self.board.core("settle")
                self.board.way_in()
                self.here[cpu] = self.vcpus.index(running) if running else None
        for number in filter(lambda n: n is not None, self.here):
            self.begin(number)

    def begin(self, number):
        """What a vCPU finds that runs for the first time since it was switched on."""
        model = self.models[number]
        if model.fresh is None:
            return
        entry, argument = model.fresh
        context = self.board.context(self.vcpus[number])
        self.board.enter(self.here.index(number))
        assert (context.pc, context.pstate) == (entry, EL1_MASKED)
        assert [context.x[i] for i in range(31)] == [argument] + [0] * 30
        assert self.board["sctlr_el1"] == SCTLR_AT_RESET
        for register in ("ttbr0_el1", "vbar_el1", "sp_el1", "tpidr_el0", "cntv_ctl_el0", "ich_vmcr_el2"):
            assert self.board[register] & 3 == 0, f"{register} is left from before"
        registers = self.board.host.per_cpu(self.here.index(number), "hv.sim.fpsimd.FpRegisters").words
        assert not any(registers), "floating-point registers are left from before"
        self.leave_traces(number)
        model.fresh = None

    def leave_traces(self, number):
        """The guest uses its registers: none of that may be there when the vCPU is switched on again."""
        for register in ("ttbr0_el1", "vbar_el1", "sp_el1", "tpidr_el0", "sctlr_el1"):
            self.board[register] = 0x1003 + number
        self.board["cntv_cval_el0"] = WORD
        self.board["cntv_ctl_el0"] = 1
        self.board["ich_vmcr_el2"] = 0xF8 << 24 | 3
        words = self.board.host.per_cpu(self.board.here, "hv.sim.fpsimd.FpRegisters").words
        for i in range(66):
            words[i] = number << 8 | i

    def caller(self, cpu):
        """The vCPU that runs on a CPU, or on another when that is idle."""
        for at in (cpu, *range(CPUS)):
            if self.here[at] is not None:
                self.board.enter(at)
                return self.here[at]
        return None

    def psci(self, number, function, *arguments):
        return call_by(self.board, self.vcpus[number], function, *arguments, by=HVC if len(arguments) % 2 else SMC)

    def someone_runs(self):
        return any(number is not None for number in self.here)

    @precondition(someone_runs)
    @rule(cpu=callers, other=st.integers(0, VCPUS - 1), entry=entries, context=st.integers(0, WORD))
    def cpu_on(self, cpu, other, entry, context):
        result = self.psci(self.caller(cpu), CPU_ON, other, entry, context)
        model = self.models[other]
        assert result == (SUCCESS if model.down else ALREADY_ON)
        if model.down:
            model.down, model.suspended, model.fresh = False, False, (entry, context)
        self.turn()

    @precondition(someone_runs)
    @rule(cpu=callers, other=st.integers(0, VCPUS - 1), context=st.integers(0, WORD))
    def narrow_cpu_on(self, cpu, other, context):
        """SMC32: only the lower halves of the arguments count."""
        high = 0xABCD << 32
        result = self.psci(self.caller(cpu), CPU_ON & ~WIDE, high | other, high | RAM, context)
        model = self.models[other]
        assert result == (SUCCESS if model.down else ALREADY_ON)
        if model.down:
            model.down, model.suspended, model.fresh = False, False, (RAM, context & 0xFFFF_FFFF)
        self.turn()

    @precondition(someone_runs)
    @rule(cpu=callers, place=wrong_places, entry=entries)
    def cpu_on_of_nobody(self, cpu, place, entry):
        assert self.psci(self.caller(cpu), CPU_ON, place, entry, 0) == INVALID_PARAMETERS
        assert self.psci(self.caller(cpu), AFFINITY_INFO, place, 0) == INVALID_PARAMETERS

    @precondition(someone_runs)
    @rule(cpu=callers, other=st.integers(0, VCPUS - 1), entry=wrong_entries)
    def cpu_on_nowhere(self, cpu, other, entry):
        assert self.psci(self.caller(cpu), CPU_ON, other, entry, 0) == INVALID_ADDRESS

    @precondition(someone_runs)
    @rule(cpu=callers)
    def cpu_off(self, cpu):
        """Whoever calls is on until no CPU has it loaded any more."""
        number = self.caller(cpu)
        self.psci(number, CPU_OFF)
        witness = next((n for n in self.here if n not in (None, number)), None)
        if witness is not None:
            self.board.enter(self.here.index(witness))
            assert self.psci(witness, AFFINITY_INFO, number, 0) == ON
            assert self.psci(witness, CPU_ON, number, RAM, 0) == ALREADY_ON
        self.models[number].down = True
        self.turn()

    @precondition(someone_runs)
    @rule(cpu=callers, wide=st.booleans())
    def cpu_suspend(self, cpu, wide):
        """A suspended CPU goes on behind the call, with all that it had, when there is an interrupt."""
        number = self.caller(cpu)
        assert self.psci(number, CPU_SUSPEND if wide else CPU_SUSPEND & ~WIDE, 0, RAM, 3) == SUCCESS
        self.models[number].suspended = not self.models[number].pending
        self.turn()

    @precondition(someone_runs)
    @rule(cpu=callers, other=st.integers(0, VCPUS - 1), pend=st.booleans())
    def interrupt(self, cpu, other, pend):
        """Another vCPU's private interrupt: what a suspended one waits for."""
        number = self.caller(cpu)
        vcpu = self.vcpus[number]
        frame = PRIVATE + FRAMES * other
        self.board.device(vcpu, frame + SET_ENABLE, 4, 1 << 20)
        self.board.device(vcpu, frame + (SET_PENDING if pend else CLEAR_PENDING), 4, 1 << 20)
        self.models[other].pending = pend
        if pend:
            self.models[other].suspended = False
        self.turn()

    @precondition(someone_runs)
    @rule(cpu=callers, other=st.integers(0, VCPUS - 1), level=st.integers(0, 4), narrow=st.booleans())
    def affinity_info(self, cpu, other, level, narrow):
        function = AFFINITY_INFO & ~WIDE if narrow else AFFINITY_INFO
        result = self.psci(self.caller(cpu), function, other, level)
        assert result == (INVALID_PARAMETERS if level else OFF if self.models[other].down else ON)

    @rule()
    def time_passes(self):
        self.board.advance(SLICE)
        self.turn()

    @precondition(lambda self: hasattr(self, "board"))
    @invariant()
    def who_can_run_runs_in_turns(self):
        """Neither a vCPU that is off nor one that waits is on a CPU; no CPU idles while one waits for it."""
        can = {n for n, m in enumerate(self.models) if not m.down and not m.suspended}
        runs = {n for n in self.here if n is not None}
        assert runs <= can
        assert len(runs) == min(len(can), CPUS)
        for number, model in enumerate(self.models):
            assert bool(self.board.core("is_off", self.vcpus[number])) == model.down

    @precondition(lambda self: hasattr(self, "board"))
    @invariant()
    def registers_change_hands_as_a_whole(self):
        for cpu, number in enumerate(self.here):
            if number is not None and self.models[number].fresh is None:
                words = self.board.host.per_cpu(cpu, "hv.sim.fpsimd.FpRegisters").words
                assert [words[i] for i in range(66)] == [number << 8 | i for i in range(66)]


TestFirmware = FirmwareMachine.TestCase


def running_guest(vcpus=1):
    board, made = guest_board(1, vcpus)
    board.core("vcpu_up", made[0], RAM, 0)
    assert board.core("settle") == made[0]
    return board, made


@pytest.mark.parametrize("by", [HVC, SMC])
def test_what_it_says_of_itself(by):
    board, (vcpu,) = running_guest()
    assert call_by(board, vcpu, VERSION, by=by) == 0x1_0001
    assert call_by(board, vcpu, MIGRATE_INFO_TYPE, by=by) == NO_TRUSTED_OS
    assert call_by(board, vcpu, SMCCC_VERSION, by=by) == 0x1_0001
    assert call_by(board, vcpu, ARCH_FEATURES, ARCH_FEATURES, by=by) == SUCCESS
    assert call_by(board, vcpu, ARCH_FEATURES, 0x8000_8000, by=by) == NOT_SUPPORTED


@given(function=st.integers(0, 2**32 - 1) | st.sampled_from(sorted(OFFERED)) | st.integers(0x8400_0000, 0x8400_001F))
def test_features_tells_exactly_what_is_offered(function):
    board, (vcpu,) = running_guest()
    assert call_by(board, vcpu, FEATURES, function) == (SUCCESS if function in OFFERED else NOT_SUPPORTED)
    if function not in OFFERED | {ARCH_FEATURES}:
        assert call_by(board, vcpu, function, 1, 2, 3) == NOT_SUPPORTED


@pytest.mark.parametrize("by", [HVC, SMC])
@pytest.mark.parametrize(
    ("function", "reason", "said"), [(SYSTEM_OFF, POWER_OFF, "powered off"), (SYSTEM_RESET, REBOOT, "reset")]
)
def test_the_system_is_that_guest_alone(by, function, reason, said):
    board, made = running_guest(2)
    board.core("vcpu_up", made[1], RAM, 0)
    other = board.call("hv.sim.vcpus.make_domain", 2, 1)
    other.state = UP
    neighbour = board.call("hv.sim.vcpus.make_vcpu", other, 1)
    board.core("vcpu_up", neighbour, RAM, 5)
    call_by(board, made[0], function, by=by)
    assert (board.guest.state, board.guest.reason) == (SHUT_DOWN, reason)
    assert board.lines() == [f"(hv) d1 test: {said}"]
    for _ in range(4):
        board.advance(SLICE)
        board.call("hv.sim.machine.poll")
        assert board.core("settle") == neighbour, "the neighbour runs on, and nobody else"
    assert other.state == UP


def test_a_cpu_that_is_switched_on_again_has_no_timer_left():
    """The stand-in of its virtual timer, which waited while it was off, does not interrupt its new life."""
    board, made = guest_board(1, 2)
    board.core("vcpu_up", made[0], RAM, 0)
    assert board.core("settle") == made[0]
    board.device(made[0], GICD, 4, 0x13)
    board.device(made[0], PRIVATE + SET_ENABLE, 4, 1 << VIRTUAL_TIMER)
    board["cntv_cval_el0"] = 1000
    board["cntv_ctl_el0"] = 1
    board.core("vcpu_up", made[1], RAM, 0)
    call_by(board, made[0], CPU_OFF)
    assert board.core("settle") == made[1]
    assert call_by(board, made[1], CPU_ON, 0, RAM, 9) == SUCCESS
    board.advance(5000 * TICK)
    board.call("hv.sim.machine.poll")
    board.call("hv.common.kernel.softirq.run_softirqs")
    bank = board.extension(made[0], "vgic_state_VgicCpu").private
    assert not bank.line >> VIRTUAL_TIMER & 1
