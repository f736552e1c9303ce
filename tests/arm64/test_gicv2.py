"""The GICv2 driver against a model of the registers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from compiler.hostbuild import Raised
from tests.arm64.gicv2 import CONTROL, DISTRIBUTOR, INTERFACE, NOTHING, VIRTUAL, GicV2
from tests.common.guests import Machine, Node, flat, strings, u32, u64
from tests.common.host import ending

DRIVER = "hv.arm64.gicv2.GicV2."
LEVEL, EDGE = 0, 1
EINVAL, ENODEV = 22, 19
KICK = 0


class Driver:
    """The driver, and the hardware that it has taken over."""

    def __init__(self, tree: Node | None = None, **hardware: Any) -> None:
        self.machine = Machine(1)
        self.hardware = GicV2(self.machine.host, **hardware)
        self.me = self.machine.host.variable("hv.arm64.gicv2.gicv2")
        blob = flat(tree or controller(spread=self.hardware.spread))
        self.call("hv.sim.controller.take", "", self.me, self.machine.host.bytes(blob)[0])

    def start(self) -> Driver:
        for cpu in range(self.hardware.cpus):
            self.enter(cpu)
            self("start_cpu")
        self.enter(0)
        self.hardware.check()
        return self

    def call(self, name: str, prefix: str, *arguments: Any) -> Any:
        return self.machine.call(prefix + name, *arguments)

    def __call__(self, name: str, *arguments: Any) -> Any:
        return self.call(name, DRIVER, self.me, *arguments)

    def enter(self, cpu: int) -> None:
        self.hardware.enter(cpu)


def controller(spread: bool = False, size: int | None = None, **more: bytes) -> Node:
    interface = size or (0x2_0000 if spread else 0x1_0000)
    properties = {
        "compatible": strings("arm,cortex-a15-gic"),
        "reg": u64(DISTRIBUTOR) + u64(0x1_0000) + u64(INTERFACE) + u64(interface),
        **more,
    }
    return Node("", {"#address-cells": u32(2), "#size-cells": u32(2)}, [Node("intc@8000000", properties)])


@pytest.mark.parametrize("cpus", [1, 2, 8])
@pytest.mark.parametrize("interrupts", [32, 96, 992])
def test_takes_a_machine_over(cpus: int, interrupts: int) -> None:
    """Whatever the firmware left enabled or active, nothing comes, and every shared interrupt has a target."""
    driver = Driver(cpus=cpus, interrupts=interrupts).start()
    for cpu in range(cpus):
        driver.enter(cpu)
        assert driver("acknowledge") == NOTHING
    assert not any(line.enabled or line.active for line in driver.hardware.shared)
    assert all(line.targets == 1 or cpus == 1 for line in driver.hardware.shared)
    assert driver("most_cpus") == cpus
    assert driver("supports", interrupts - 1) and not driver("supports", interrupts)
    driver.hardware.check()


@pytest.mark.parametrize(
    ("spread", "size"), [(False, 0x1000), (False, 0x2000), (False, 0x1_0000), (False, 0x2_0000), (True, 0x2_0000)]
)
def test_finds_where_dir_is(spread: bool, size: int) -> None:
    """Also where the tree's size is less than the two pages, or 128 KiB for an interface that is not spread."""
    driver = Driver(controller(spread, size), spread=spread).start()
    assert driver.me.deactivation == INTERFACE + (0x1_0000 if spread else 0x1000)
    driver("configure", 40, LEVEL)
    driver("enable", 40)
    driver.hardware.raise_line(40)
    assert driver("acknowledge") == 40
    driver("end", 40)
    assert driver("acknowledge") == NOTHING
    driver("deactivate", 40)
    assert driver("acknowledge") == 40
    driver.hardware.check()


def test_a_gicv1_is_refused() -> None:
    with pytest.raises(Raised) as refused:
        Driver(version=1)
    assert refused.value.code == ENODEV


def test_a_node_without_interface_is_refused() -> None:
    with pytest.raises(Raised) as refused:
        Driver(controller(reg=u64(DISTRIBUTOR) + u64(0x1000)))
    assert refused.value.code == EINVAL


@pytest.mark.parametrize(("written", "number"), [(None, 25), (9, 25), (8, 24)])
def test_maintenance_is_what_the_tree_says(written: int | None, number: int) -> None:
    more = {} if written is None else {"interrupts": u32(1) + u32(written) + u32(4)}
    assert Driver(controller(**more))("maintenance") == number


def ranges(*more: int) -> bytes:
    """`reg` with ranges behind distributor and interface."""
    return b"".join(map(u64, (DISTRIBUTOR, 0x1_0000, INTERFACE, 0x2_0000, *more)))


@pytest.mark.parametrize("size", [0x1000, 0x2000, 0x1_0000, 0x2_0000])
@pytest.mark.parametrize("spread", [False, True])
def test_takes_virtual_interfaces(size: int, spread: bool) -> None:
    """However large the ranges are: what is used lies at their beginning, also where pages are repeated."""
    driver = Driver(controller(reg=ranges(CONTROL, size, VIRTUAL, size)), spread=spread).start()
    assert driver("virtual_version") == 2
    assert (driver.me.control, driver.me.virtual) == (CONTROL, VIRTUAL)
    driver.hardware.check()


@pytest.mark.parametrize(
    "more", [(), (CONTROL, 0x1000), (CONTROL, 0x1000, VIRTUAL + 0x10, 0x2000), (CONTROL, 0x1000, 0x4000_0000, 0x2000)]
)
def test_without_virtual_interfaces_there_are_no_guests(more: tuple[int, ...]) -> None:
    """No ranges, one alone, one that begins in the midst of a page, or one that no GICv2 answers in: the hypervisor
    itself goes on."""
    driver = Driver(controller(reg=ranges(*more)))
    driver.hardware.findings.clear()  # of the address where there is nothing
    driver.start()
    assert driver("virtual_version") == 0
    driver.hardware.check()


def test_a_cpu_without_interface_panics() -> None:
    driver = Driver(cpus=2)
    driver.hardware._read_distributor = lambda offset: 0
    status, said = ending(lambda: driver("start_cpu"))
    assert status != 0 and "the interrupt controller has no interface for this CPU" in said


def test_the_firmwares_bypass_is_kept() -> None:
    driver = Driver()
    for interface in driver.hardware.interfaces:
        interface.control = 0x1E0
    driver.start()
    assert {interface.control for interface in driver.hardware.interfaces} == {0x1E0 | 1 << 9 | 1}


def test_an_active_interrupt_waits_for_its_guest() -> None:
    """`activate` is as if it had been taken: it comes when it has been deactivated."""
    driver = Driver().start()
    driver.enter(2)
    driver("configure", 27, LEVEL)
    driver("enable", 27)
    driver("activate", 27)
    driver.hardware.raise_line(27, 2)
    assert driver("acknowledge") == NOTHING
    driver("deactivate", 27)
    assert driver("acknowledge") == 27
    driver.hardware.check()


@pytest.mark.parametrize("intid", [32, 33, 34, 35, 95])
def test_a_shared_interrupt_follows_its_route(intid: int) -> None:
    driver = Driver().start()
    driver("configure", intid, EDGE)
    driver("enable", intid)
    for cpu in (0, 3, 1):
        driver("route", intid, cpu)
        driver.hardware.raise_line(intid)
        driver.hardware.lower_line(intid)
        for other in range(4):
            driver.enter(other)
            assert driver("acknowledge") == (intid if other == cpu else NOTHING)
        driver.enter(cpu)
        driver("end", intid)
        driver("deactivate", intid)
    assert [i + 32 for i, line in enumerate(driver.hardware.shared) if line.targets != 1] == [intid]
    driver.hardware.check()


def test_a_cpu_is_kicked_by_many_again_and_again() -> None:
    """Each sender's interrupt comes once, also while the handler of another's runs."""
    driver = Driver().start()
    driver.enter(3)
    driver("enable", KICK)
    for _ in range(3):
        for cpu in (0, 1, 2, 3, 1):
            driver.enter(cpu)
            driver("send_ipi", KICK, 3)
        driver.enter(3)
        for _ in range(4):
            assert driver("acknowledge") == KICK
            driver("end", KICK)
        driver("deactivate", KICK)
        assert driver("acknowledge") == NOTHING
    driver.hardware.check()


class Traffic(RuleBasedStateMachine):
    """Interrupts of each kind to several CPUs: who gets which, and when."""

    CPUS = 3
    SHARED = (32, 33, 47, 63)
    PRIVATE = 27

    @initialize()
    def boot(self) -> None:
        self.driver = Driver(cpus=self.CPUS).start()
        self.hardware = self.driver.hardware
        self.route = dict.fromkeys(self.SHARED, 0)
        self.edge: dict[int, bool] = {}
        self.ipis: set[tuple[int, int]] = set()  # to, from
        self.asserted: set[tuple[int, int]] = set()  # number, CPU: a level is held, or an edge has come
        self.active: set[tuple[int, int]] = set()
        for cpu in range(self.CPUS):
            self.driver.enter(cpu)
            self.driver("enable", KICK)
            self.driver("configure", self.PRIVATE, LEVEL)
            self.driver("enable", self.PRIVATE)
        self.driver.enter(0)
        for intid in self.SHARED:
            self.edge[intid] = intid % 2 == 1
            self.driver("configure", intid, EDGE if self.edge[intid] else LEVEL)
            self.driver("enable", intid)

    @rule(cpu=st.integers(0, 2), to=st.integers(0, 2))
    def kick(self, cpu: int, to: int) -> None:
        self.driver.enter(cpu)
        self.driver("send_ipi", KICK, to)
        self.ipis.add((to, cpu))

    @rule(intid=st.sampled_from(SHARED), cpu=st.integers(0, 2))
    def move(self, intid: int, cpu: int) -> None:
        self.driver("route", intid, cpu)
        self.route[intid] = cpu

    @rule(intid=st.sampled_from(SHARED))
    def device(self, intid: int) -> None:
        if self.edge[intid]:
            self.hardware.lower_line(intid)
        self.hardware.raise_line(intid)
        self.asserted.add((intid, -1))

    @rule(cpu=st.integers(0, 2))
    def own(self, cpu: int) -> None:
        self.hardware.raise_line(self.PRIVATE, cpu)
        self.asserted.add((self.PRIVATE, cpu))

    @rule(late=st.booleans())
    def take_all(self, late: bool) -> None:
        for cpu in range(self.CPUS):
            while self.take(cpu, late):
                pass

    def take(self, cpu: int, late: bool) -> bool:
        """As the hypervisor takes one; `late`: it is forwarded, and its guest ends it later. False: there was none."""
        self.driver.enter(cpu)
        expected = self.expected(cpu)
        intid = self.driver("acknowledge")
        assert (intid in expected) if expected else intid == NOTHING
        if intid == NOTHING:
            return False
        self.driver("end", intid)
        if intid == KICK:
            self.ipis.discard((cpu, min(sender for to, sender in self.ipis if to == cpu)))
            self.driver("deactivate", intid)
            return True
        owner = cpu if intid < 32 else -1
        if late:
            if self.edge.get(intid):
                self.asserted.discard((intid, owner))
            self.active.add((intid, owner))
            return True
        self.quieten(intid, owner)
        self.driver("deactivate", intid)
        return True

    @precondition(lambda self: self.active)
    @rule(data=st.data())
    def guest_ends(self, data: st.DataObject) -> None:
        intid, owner = data.draw(st.sampled_from(sorted(self.active)))
        self.driver.enter(max(owner, 0))
        if not self.edge.get(intid):
            self.quieten(intid, owner)
        self.driver("deactivate", intid)
        self.active.discard((intid, owner))

    @rule(intid=st.sampled_from(SHARED))
    def off_and_on(self, intid: int) -> None:
        self.driver.enter(self.route[intid])
        self.driver("disable", intid)
        best = self.hardware.signalled()
        assert best is None or best[1] != intid
        self.driver("enable", intid)

    def quieten(self, intid: int, owner: int) -> None:
        """The handler has dealt with the device."""
        self.hardware.lower_line(intid, max(owner, 0))
        self.asserted.discard((intid, owner))

    def expected(self, cpu: int) -> set[int]:
        found = {KICK} if any(to == cpu for to, _ in self.ipis) else set[int]()
        for intid, owner in self.asserted - self.active:
            if owner == cpu or (owner == -1 and self.route[intid] == cpu):
                found.add(intid)
        return found

    @invariant()
    def nothing_forbidden(self) -> None:
        if hasattr(self, "hardware"):
            self.hardware.check()


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=60, stateful_step_count=50)
