"""Interrupts between vCPUs, by the command register: whom they reach, and INIT and STARTUP in any order against a model
(Intel SDM 3A, 10.6 and 8.4.4)."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.common.guests import SCHED, VCPUS
from tests.x86.lapic_board import DEVICE, DFR, ESR, ICR, IRR, LAPIC, LDR, PPR, SVR, TPR, WIDE, Board

FIXED, LOWEST, SMI, RESERVED, NMI, INIT, STARTUP = range(7)
LOGICAL, ASSERT, LEVEL = 1 << 11, 1 << 14, 1 << 15
NOBODY, SELF, EVERYBODY, OTHERS = range(4)
SEND_ILLEGAL = 0x20
FLAT, CLUSTER = 0xFFFF_FFFF, 0x0FFF_FFFF
VCPUS_MADE = 4

apics = st.fixed_dictionaries(
    {
        "ldr": st.integers(0, 255),
        "priority": st.sampled_from([0, 0, 0x10, 0x1F, 0xF0]),
        "serves": st.sampled_from([None, None, 0x15]) | st.integers(16, 255),
        "on": st.sampled_from([True, True, True, False]),
        "waits": st.sampled_from([False, False, False, True]),  # for a STARTUP
        "reachable": st.sampled_from([True, True, True, False]),
    }
)

commands = st.fixed_dictionaries(
    {
        "sender": st.integers(0, VCPUS_MADE - 1),
        "mode": st.sampled_from([FIXED, LOWEST]),
        "vector": st.integers(14, 255),
        "destination": st.integers(0, 2 * VCPUS_MADE + 1) | st.integers(0, 0x1_0FFF) | st.just(0xFFFF_FFFF),
        "logical": st.booleans(),
        "shorthand": st.sampled_from([NOBODY, NOBODY, SELF, EVERYBODY, OTHERS]),
    }
)


@given(
    each=st.lists(apics, min_size=VCPUS_MADE, max_size=VCPUS_MADE),
    wide=st.booleans(),
    flat=st.booleans(),
    sent=st.lists(commands, min_size=1, max_size=8),
)
@settings(max_examples=60)
def test_whom_an_interrupt_reaches(each, wide, flat, sent):
    """Those that are addressed and take interrupts; of lowest priority the one that has it, the first of several."""
    board = Board(VCPUS_MADE)
    each[0].update(waits=False, reachable=True)  # who sends when nobody else can
    for i, it in enumerate(each):
        if wide:
            board.turn_x2apic_on(i)
        else:
            board.write(i, LDR, it["ldr"] << 24)
            board.write(i, DFR, FLAT if flat else CLUSTER)
        board.write(i, SVR, 0xFF | it["on"] << 8)
        board.own(i).awaits_startup = it["waits"]
        if it["serves"]:
            board.call(f"{LAPIC}request", board.apic(i), it["serves"])
            board.call(f"{LAPIC}accept", board.apic(i), it["serves"])
        board.write(i, TPR, it["priority"])
        it["ppr"] = board.read(i, PPR)
        if not it["reachable"]:
            board.call(f"{DEVICE}write_base", board.own(i), board.apic(i).hw.apic_base_msr & ~(WIDE | 1 << 11))
    for command in sent:
        if each[command["sender"]]["waits"] or not each[command["sender"]]["reachable"]:
            command["sender"] = 0
        command["destination"] &= 0xFFFF_FFFF if wide else 0xFF
        reached = those_reached(each, wide, flat, command)
        what = command["vector"] | command["mode"] << 8 | command["logical"] * LOGICAL | command["shorthand"] << 18
        board.send(command["sender"], what | ASSERT, command["destination"])
        legal = command["vector"] >= 16
        for i in range(VCPUS_MADE):
            assert board.bits(i, IRR) == ({command["vector"]} if i in reached and legal else set())
            board.forget_requests(i)
        board.write(command["sender"], ESR, 0)
        assert board.read(command["sender"], ESR) == (0 if legal else SEND_ILLEGAL)


def those_reached(each, wide, flat, command):
    """10.6.2."""
    found = []
    destination = command["destination"]
    for i, it in enumerate(each):
        number = 2 * i
        own = (number >> 4) << 16 | 1 << (number & 15) if wide else it["ldr"]
        if destination == (0xFFFF_FFFF if wide else 0xFF):
            match = True
        elif not command["logical"]:
            match = destination == number
        elif wide:
            match = own >> 16 == destination >> 16 and bool(own & destination & 0xFFFF)
        elif flat:
            match = bool(own & destination)
        else:
            match = own >> 4 == destination >> 4 and bool(own & destination & 0xF)
        itself = i == command["sender"]
        match = {NOBODY: match, SELF: itself, EVERYBODY: True, OTHERS: not itself}[command["shorthand"]]
        if match and it["on"] and it["reachable"] and not it["waits"]:
            found.append(i)
    if command["mode"] == LOWEST:
        found = sorted(found, key=lambda i: (each[i]["ppr"], i))[:1]
    return found


class Model:
    def __init__(self, first):
        self.on = first
        self.waits = not first
        self.page = None  # where it is to begin as soon as it is off


class StartMachine(RuleBasedStateMachine):
    """vCPUs start and stop each other, on CPUs that do what is due in any order."""

    @initialize(cpus=st.integers(1, 3), wide=st.booleans())
    def power_on(self, cpus, wide):
        self.board = Board(3, cpus)
        self.models = [Model(i == 0) for i in range(3)]
        self.base = []
        for i in range(3):
            if wide:
                self.board.turn_x2apic_on(i)
            self.base.append(self.board.apic(i).hw.apic_base_msr)
        self.board.core("vcpu_up", self.board.made[0], 0x100, 0)
        self.board.settle_all()

    def send(self, sender, to, command):
        self.board.enter(self.cpu_of(sender))
        self.board.send(sender, command, 2 * to)

    def cpu_of(self, vcpu):
        real = self.board.made[vcpu]
        return real.at if real.running else 0

    def begun(self, vcpu, page):
        """The extension would ask whether it is by STARTUP."""
        assert self.board.call(f"{VCPUS}entry_of", self.board.made[vcpu]) == page << 12
        assert self.board.call(f"{DEVICE}restart", self.board.own(vcpu))
        assert self.board.apic(vcpu).hw.apic_base_msr == self.base[vcpu]
        assert not self.board.bits(vcpu, IRR) and self.board.read(vcpu, SVR) == 0xFF
        model = self.models[vcpu]
        model.on, model.page = True, None
        self.board.write(vcpu, SVR, 0x1FF)
        self.board.call(f"{LAPIC}post", self.board.apic(vcpu), 0x40)

    @rule(sender=st.integers(0, 2), to=st.integers(0, 2), level=st.sampled_from([0, LEVEL, LEVEL | ASSERT]))
    def init(self, sender, to, level):
        """Its end, which processors once sent each other, does nothing."""
        self.send(sender, to, INIT << 8 | level)
        if level == LEVEL:
            return
        model = self.models[to]
        model.on, model.waits, model.page = False, True, None

    @rule(sender=st.integers(0, 2), to=st.integers(0, 2), page=st.integers(0, 255))
    def startup(self, sender, to, page):
        running = self.board.made[to].running
        self.send(sender, to, STARTUP << 8 | page)
        model = self.models[to]
        if not model.waits:
            return
        model.waits = False
        if running:
            model.page = page
        else:
            self.begun(to, page)

    @rule(vcpu=st.integers(0, 2))
    def switches_itself_off(self, vcpu):
        """As by HLT with interrupts off: only INIT and STARTUP bring it back."""
        model = self.models[vcpu]
        if model.on and self.board.made[vcpu].running:
            self.board.enter(self.cpu_of(vcpu))
            self.board.core("vcpu_down", self.board.made[vcpu])
            model.on = False

    @rule(cpu=st.integers(0, 2))
    def do_what_is_due(self, cpu):
        if cpu >= self.board.cpus:
            return
        ran = [i for i in range(3) if self.board.made[i].running and self.board.made[i].at == cpu]
        self.board.settle(cpu)
        for i in ran:
            if self.models[i].page is not None:
                self.begun(i, self.models[i].page)

    @rule()
    def settled(self):
        for _ in range(3):
            for cpu in range(self.board.cpus):
                self.do_what_is_due(cpu)
        running = [bool(vcpu.running) for vcpu in self.board.made]
        on = [model.on for model in self.models]
        assert sum(running) == min(sum(on), self.board.cpus)
        assert all(o >= r for o, r in zip(on, running, strict=True))

    @invariant()
    def all_are_as_they_should(self):
        if not hasattr(self, "board"):
            return
        for vcpu, model in zip(self.board.made, self.models, strict=True):
            assert vcpu.down == (not model.on) and vcpu.begins == (model.page is not None)

    def teardown(self):
        if hasattr(self, "board"):
            self.settled()


TestStart = StartMachine.TestCase
TestStart.settings = settings(max_examples=100, stateful_step_count=40)


def test_an_nmi_reaches_whoever_does_not_wait_for_its_startup():
    """Also one whose APIC is off by software (10.4.7.2)."""
    board = Board(3)
    board.own(1).awaits_startup = False
    board.send(0, NMI << 8 | ASSERT | EVERYBODY << 18, 0)
    assert [bool(board.own(i).nmi) for i in range(3)] == [True, True, False]
    assert board.call(f"{DEVICE}restart", board.own(1)) == 0 and not board.own(1).nmi


def test_two_startups_without_a_pause_start_once():
    """INIT, STARTUP, STARTUP right behind each other, as Linux sends them, to a vCPU that runs on another CPU."""
    board = Board(2, 2)
    for vcpu in board.made:
        board.core("vcpu_up", vcpu, 0, 0)
    board.settle_all()
    board.own(1).awaits_startup = False
    board.enter(board.made[0].at)
    for command in (INIT << 8 | ASSERT, STARTUP << 8 | 0x9A, STARTUP << 8 | 0x9A):
        board.send(0, command, 2)
    assert board.made[1].running and board.made[1].down
    assert not board.core("all_down", board.guest)
    board.settle_all()
    assert board.made[1].running and not board.made[1].down
    assert board.call(f"{VCPUS}entry_of", board.made[1]) == 0x9A000
    assert board.host.errno(f"{SCHED}vcpu_up_once_off", board.made[1], 0, 0) != 0
    assert board.read(0, ICR) == STARTUP << 8 | 0x9A
