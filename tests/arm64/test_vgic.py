"""The virtual interrupt controller against a model without list registers: what a guest acknowledges is always what a
real controller would have offered, whatever its CPUs, its devices and the scheduler do in between, and however few
list registers there are. Some interrupts are those of physical devices that the guest owns.
"""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.arm64.board import ARM, FRAMES, GICD, GICR, Board

IDLE = 0x100
VCPUS = 3
CPUS = 2
PRIVATE = [0, 3, 15, 20, 27]
PLAYED = [32, 33, 40, 63, 64, 95]  # of devices that the hypervisor plays
LEVELS = [50, 96]  # of devices that the guest owns
EDGES = [51, 159]
OWNED = LEVELS + EDGES
SHARED = PLAYED + OWNED
EVERY = PRIVATE + SHARED
SPIS = 128

GROUP, SET_ENABLE, CLEAR_ENABLE, SET_PENDING, CLEAR_PENDING, SET_ACTIVE, CLEAR_ACTIVE = range(0x80, 0x400, 0x80)
PRIORITY, CONFIGURATION, ROUTE = 0x400, 0xC00, 0x6000


class Irq:
    """One interrupt of the model."""

    def __init__(self, intid, vcpu, group1=True):
        self.intid = intid
        self.edge = intid < 16
        self.latch = self.line = self.active = self.enabled = False
        self.group1 = group1
        self.priority = 0
        self.target = vcpu
        self.owner = vcpu
        self.senders = set()  # of an SGI, where they are told apart: a latch for each

    @property
    def pending(self):
        return self.latch or bool(self.senders) or (self.line and not self.edge)


class VgicMachine(RuleBasedStateMachine):
    gicv2 = False

    @initialize(
        lists=st.integers(1, 5), split=st.booleans(), priorities=st.lists(st.integers(0, 30), min_size=1, max_size=8)
    )
    def power_on(self, lists, split, priorities):
        self.board = Board(CPUS, lists, self.gicv2)
        self.split = split  # EOImode: ending and deactivating apart
        self.vcpus = self.board.make_guest(VCPUS, spis=SPIS)
        self.irqs = {}
        for intid in PRIVATE:
            for vcpu in range(VCPUS):
                self.irqs[vcpu, intid] = Irq(intid, vcpu, not self.gicv2)
        for intid in SHARED:
            self.irqs[None, intid] = Irq(intid, 0, not self.gicv2)
        for intid in OWNED:
            edge = self.irq(None, intid).edge = intid in EDGES
            self.board.call(f"{ARM}spis.assign", self.board.guest, intid, edge)
        self.running = [[] for _ in self.vcpus]  # (priority, intid), the highest last
        self.dropped = [[] for _ in self.vcpus]  # ended, not deactivated
        self.place = {}  # vcpu: cpu
        self.groups = 3
        self.write(0, GICD, 0x13)
        self.run(0, 0)
        self.run(1, 1)
        for n, (owner, intid) in enumerate(self.irqs):
            self.enable(0, owner or 0, intid, n % 7 != 6)
            self.priority(0, owner or 0, intid, priorities[n % len(priorities)])

    def accept(self, irq):
        """The interrupt has been acknowledged."""
        irq.latch = False

    def named(self, vcpu, intid):
        """What the guest writes to end an interrupt."""
        return intid

    def irq(self, vcpu, intid):
        return self.irqs[vcpu if intid < 32 else None, intid]

    def deliverable(self, vcpu):
        every = [self.irq(vcpu, intid) for intid in EVERY]
        return [
            i
            for i in every
            if i.pending and i.enabled and not i.active and i.target == vcpu and self.groups & (2 if i.group1 else 1)
        ]

    # The machine

    def settle(self):
        """Physical interrupts come where they can. Whoever has been told to look again does so, as the interrupts
        between CPUs make it.
        """
        here = self.board.here
        for _ in range(100):
            for intid in OWNED:
                self.board.spi_comes(intid)
            self._look_again()
            if not any(self.board.spi_can_come(intid) for intid in OWNED):
                break
        else:
            raise AssertionError("a device's interrupt comes again and again")
        self.board.enter(here)

    def _look_again(self):
        for vcpu, cpu in self.place.items():
            self.board.enter(cpu)
            for _ in range(100):
                if not self.board.interface.wants_maintenance():
                    break
                self.board.call(f"{ARM}guests.maintain", 25)
                self.board.way_in()
            else:
                raise AssertionError("the maintenance interrupt never ends")
            assert self.board.loaded() == self.vcpus[vcpu]
            self.board.way_in()
            self.board.interface.check()

    def write(self, vcpu, address, value, size=4):
        self.board.enter(self.place.get(vcpu, 0))
        self.board.device(self.vcpus[vcpu], address, size, value)
        self.settle()

    def read(self, vcpu, address, size=4):
        self.board.enter(self.place.get(vcpu, 0))
        value = self.board.device(self.vcpus[vcpu], address, size)
        self.settle()
        return value

    def register(self, owner, intid, kind, bits=1):
        """Address of the register with an interrupt's bits, and where they are."""
        frame = GICD if intid >= 32 else GICR + FRAMES * owner + 0x1_0000
        return frame + kind + intid * bits // 32 * 4, intid * bits % 32

    @rule(vcpu=st.integers(0, VCPUS - 1), cpu=st.integers(0, CPUS - 1))
    def run(self, vcpu, cpu):
        for other, where in list(self.place.items()):
            if where == cpu or other == vcpu:
                self.stop(other)
        self.board.enter(cpu)
        self.board.load(self.vcpus[vcpu])
        self.board.interface.set_up(self.split)
        self.place[vcpu] = cpu
        self.settle()

    @rule(vcpu=st.integers(0, VCPUS - 1))
    def stop(self, vcpu):
        if vcpu in self.place:
            self.board.enter(self.place.pop(vcpu))
            self.board.save(self.vcpus[vcpu])
            self.let_timers_expire()

    def let_timers_expire(self):
        """Notices of who held the scheduler's lock come by a timer."""
        self.board.advance(1000)
        for cpu in range(CPUS):
            self.board.enter(cpu)
            self.board.call("hv.sim.machine.poll")
            self.board.call("hv.common.kernel.softirq.run_softirqs")
        self.settle()

    # What guests tell the controller

    who = st.integers(0, VCPUS - 1)

    @rule(by=who, owner=who, intid=st.sampled_from(EVERY), on=st.booleans())
    def enable(self, by, owner, intid, on):
        address, bit = self.register(owner, intid, SET_ENABLE if on else CLEAR_ENABLE)
        self.irq(owner, intid).enabled = on
        self.write(by, address, 1 << bit)

    @rule(by=who, owner=who, intid=st.sampled_from(EVERY), group1=st.booleans())
    def group(self, by, owner, intid, group1):
        address, bit = self.register(owner, intid, GROUP)
        before = self.read(by, address)
        self.irq(owner, intid).group1 = group1
        self.write(by, address, before & ~(1 << bit) | group1 << bit)

    @rule(by=who, owner=who, intid=st.sampled_from(EVERY), priority=st.integers(0, 30))
    def priority(self, by, owner, intid, priority):
        irq = self.irq(owner, intid)
        if not irq.active:
            address, bit = self.register(owner, intid, PRIORITY, 8)
            irq.priority = priority * 8
            self.write(by, address + bit // 8, priority * 8, 1)

    @rule(by=who, owner=who, intid=st.sampled_from(EVERY), on=st.booleans())
    def pend(self, by, owner, intid, on):
        address, bit = self.register(owner, intid, SET_PENDING if on else CLEAR_PENDING)
        if intid >= 16 or not self.gicv2:
            self.irq(owner, intid).latch = on
        self.write(by, address, 1 << bit)

    @rule(by=who, owner=who, intids=st.sets(st.sampled_from(EVERY), min_size=3))
    def pend_many(self, by, owner, intids):
        for intid in intids:
            self.pend(by, owner, intid, True)

    @rule(by=who, owner=who, intid=st.sampled_from(EVERY))
    def clear_active(self, by, owner, intid):
        address, bit = self.register(owner, intid, CLEAR_ACTIVE)
        irq = self.irq(owner, intid)
        if irq.active and not any(intid == i for _, i in self.running[irq.owner]):
            irq.active = False
            if intid in self.dropped[irq.owner]:
                self.dropped[irq.owner].remove(intid)
            self.write(by, address, 1 << bit)

    @rule(by=who, intid=st.sampled_from(SHARED), to=st.integers(0, VCPUS))
    def route(self, by, intid, to):
        self.irq(0, intid).target = to if to < VCPUS else None
        self.write(by, GICD + ROUTE + intid * 8, to, 8)

    @rule(by=who, intid=st.sampled_from(PLAYED), edge=st.booleans())
    def trigger(self, by, intid, edge):
        address, bit = self.register(0, intid, CONFIGURATION, 2)
        before = self.read(by, address)
        self.irq(0, intid).edge = edge
        self.write(by, address, before & ~(2 << bit) | (2 << bit if edge else 0))

    @rule(by=who, groups=st.sampled_from([0, 1, 2, 3, 3, 3]))
    def forward(self, by, groups):
        self.groups = groups
        self.write(by, GICD, groups)

    @rule(by=who, intid=st.sampled_from([0, 3, 15]), to=st.integers(0, 15), others=st.booleans())
    def send(self, by, intid, to, others):
        self.board.enter(self.place.get(by, 0))
        value = intid << 24 | (1 << 40 if others else to)
        self.board.call(f"{ARM}vgic_sgi.send", self.vcpus[by], value, True)
        for vcpu in range(VCPUS):
            irq = self.irq(vcpu, intid)
            if (vcpu != by if others else to >> vcpu & 1) and irq.group1:
                irq.latch = True
        self.settle()

    @rule(intid=st.sampled_from(PLAYED), level=st.booleans())
    def line(self, intid, level):
        irq = self.irq(0, intid)
        if irq.edge and level and not irq.line:
            irq.latch = True
        irq.line = level
        self.board.enter(0)
        self.board.call(f"{ARM}virq.set_line", self.board.guest, intid, level)
        self.settle()

    @rule(intid=st.sampled_from(OWNED), level=st.booleans())
    def device(self, intid, level):
        """A level is asserted until the guest has seen to it."""
        irq = self.irq(0, intid)
        if intid in LEVELS and not level and irq.pending and irq.enabled and not irq.active:
            return
        if irq.edge and level and not irq.line:
            irq.latch = True
        irq.line = level
        self.board.device_line(intid, level)
        self.settle()

    # What guests do with interrupts

    @rule(vcpu=who, ends=st.lists(st.integers(0, 2), max_size=12))
    def handle(self, vcpu, ends):
        """Takes interrupts and ends them, nested or not."""
        for end in ends:
            self.acknowledge(vcpu)
            for _ in range(end):
                self.end(vcpu)
                self.deactivate(vcpu, end)

    @rule(vcpu=who)
    def acknowledge(self, vcpu):
        if vcpu not in self.place:
            return
        self.board.enter(self.place[vcpu])
        running = self.running[vcpu][-1][0] if self.running[vcpu] else IDLE
        offered = [(i.priority, i.intid) for i in self.deliverable(vcpu) if i.priority < min(running, 0xF8)]
        found = self.board.interface.acknowledge(running)
        if found is None:
            assert not offered, "an interrupt is lost"
            return
        assert found in offered, "an interrupt comes that is not pending"
        assert found[0] == min(offered)[0], "one of a lower priority comes first"
        irq = self.irq(vcpu, found[1])
        self.accept(irq)
        irq.active = True
        irq.owner = vcpu
        self.running[vcpu].append(found)
        self.settle()

    @rule(vcpu=who)
    def end(self, vcpu):
        if vcpu not in self.place or not self.running[vcpu]:
            return
        self.board.enter(self.place[vcpu])
        _, intid = self.running[vcpu].pop()
        if self.split:
            self.dropped[vcpu].append(intid)
        else:
            self.board.interface.end(self.named(vcpu, intid))
            self.irq(vcpu, intid).active = False
        self.settle()

    @rule(vcpu=who, which=st.integers(0, 20))
    def deactivate(self, vcpu, which):
        if vcpu not in self.place or not self.dropped[vcpu]:
            return
        self.board.enter(self.place[vcpu])
        intid = self.dropped[vcpu].pop(which % len(self.dropped[vcpu]))
        self.board.interface.deactivate(self.vcpus[vcpu], self.named(vcpu, intid))
        self.irq(vcpu, intid).active = False
        self.settle()

    # What the controller tells

    @rule(by=who, owner=who)
    def state(self, by, owner):
        """Pending and active bits are right at any moment, wherever the interrupts are."""
        for first in range(0, 32 + SPIS, 32):
            pending = self.read(by, self.register(owner, first, SET_PENDING)[0])
            active = self.read(by, self.register(owner, first, CLEAR_ACTIVE)[0])
            for intid in EVERY:
                if first <= intid < first + 32:
                    irq = self.irq(owner, intid)
                    assert bool(pending >> intid - first & 1) == irq.pending, intid
                    assert bool(active >> intid - first & 1) == irq.active, intid

    @invariant()
    def who_waits_is_told(self):
        """A vCPU that has an interrupt to take has one in its list registers."""
        if not hasattr(self, "board"):
            return
        for vcpu, cpu in self.place.items():
            self.board.enter(cpu)
            if any(i.priority < 0xF8 for i in self.deliverable(vcpu)):
                assert self.board.call(f"{ARM}virq.has_interrupt", self.vcpus[vcpu])
            self.settle()

    @invariant()
    def physical_interrupts_follow(self):
        """They come to the CPU that runs the vCPU they are for, are enabled with their virtual ones, and none stays
        active that the guest can no more end.
        """
        if not hasattr(self, "board"):
            return
        for intid in OWNED:
            irq, spi = self.irq(0, intid), self.board.spi(intid)
            assert spi.enabled == irq.enabled
            if irq.target in self.place:
                assert spi.cpu == self.place[irq.target]
            if spi.active:
                assert irq.active or irq.pending

    def teardown(self):
        """The end of the domain."""
        if not hasattr(self, "board"):
            return
        for vcpu in list(self.place):
            self.stop(vcpu)
        spis = self.board.extension(self.board.guest, "spis_Spis")
        self.board.call(f"{ARM}spis.Spis.teardown", spis, self.board.guest)
        for intid in OWNED:
            spi = self.board.spi(intid)
            assert not (spi.enabled or spi.active or spi.pending)
            assert not self.board.call(f"{ARM}spis.owner_of", intid)
            assert not self.board.spi_comes(intid)


TestVgic = VgicMachine.TestCase


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("again", ["by a write", "by its input"])
def test_what_is_pending_of_an_active_interrupt_follows_its_route(again, split):
    """An edge that comes while another vCPU still handles the one before is the new target's when that one ends."""
    guest = VgicMachine()
    guest.power_on(lists=4, split=split, priorities=[10])
    guest.trigger(0, 40, True)
    guest.line(40, True)
    guest.acknowledge(0)
    assert guest.running[0] == [(80, 40)]
    guest.route(0, 40, 1)
    if again == "by a write":
        guest.pend(1, 0, 40, True)
    else:
        guest.line(40, False)
        guest.line(40, True)
    guest.acknowledge(1)
    assert not guest.running[1], "it is active elsewhere"
    guest.end(0)
    guest.deactivate(0, 0)
    guest.acknowledge(0)
    guest.acknowledge(1)
    assert (guest.running[0], guest.running[1]) == ([], [(80, 40)])
