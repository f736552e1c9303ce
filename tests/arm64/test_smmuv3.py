"""The SMMUv3 driver against a model of the hardware: what devices of guests reach, whatever becomes of their memory,
and what is said of what they do not.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.arm64.smmu import (
    ABORT,
    COMMAND_ERROR,
    ENABLED,
    EVENT_ERROR,
    EVENTQ_CONS,
    GERRORN,
    SERVICE_ERROR,
    Smmu,
    Smmus,
    idr0,
)
from tests.common.builder.test_devices import KERNEL, KERNEL_SIZE, NEXT, PARTIAL, board, domain, partial, passed
from tests.common.cpus import in_turns, team
from tests.common.guests import (
    MODULES,
    POWER_OFF,
    RAM_BYTES,
    REBOOT,
    UP,
    Machine,
    Node,
    flat,
    kernel_image,
    strings,
    u32,
    u64,
)
from tests.common.host import ending

EVENT, ERROR = 32 + 74, 32 + 77
PHANDLE = 0x8010
NIC, DISK = 8, 0x109  # streams
SPARE = 0x700
BUS, BUS_STREAMS = 0x1000, 0x500  # the last group is no whole one
OTHER_BASE, OTHER = 0x90A_0000, 0x8020  # of a second SMMU: registers, phandle
RAM, READ_ONLY, DEVICE = 1, 2, 3
R, W, X = 1, 2, 4
GUEST_RAM = 0x4_0000  # the first frame
FRAMES = 1024  # of a guest's memory
STAGE1 = {"stage 1": {}, "stage 1, past caches, one level": {"snoops": False, "levels": 0}}
STAGE2 = {
    "stage 2, shared": {"stage2": True, "stage1": False},
    "stage 2, own": {"stage2": True, "snoops": False},
}
KINDS = STAGE1 | STAGE2
EACH_KIND = pytest.mark.parametrize("kind", KINDS)


def smmu_node(base: int = 0x905_0000, phandle: int = PHANDLE, first: int = 74, **more: bytes) -> Node:
    properties = {
        "compatible": strings("arm,smmu-v3"),
        "reg": u64(base) + u64(0x2_0000),
        "phandle": u32(phandle),
        "#iommu-cells": u32(1),
        "interrupts": b"".join(u32(0) + u32(first + i) + u32(1) for i in range(4)),
        "interrupt-names": strings("eventq", "priq", "cmdq-sync", "gerror"),
    }
    named = {key.replace("_", "-"): value for key, value in more.items()}
    return Node(f"smmuv3@{base:x}", properties | named)


def behind(name: str, at: int, **more: bytes) -> Node:
    named = {key.replace("_", "-"): value for key, value in more.items()}
    return Node(f"{name}@{at:x}", {"reg": u64(at) + u64(0x1000), **named})


def devices() -> list[Node]:
    rows = u32(0) + u32(PHANDLE) + u32(BUS) + u32(BUS_STREAMS)
    return [
        behind("nic", 0xB00_0000, iommus=u32(PHANDLE) + u32(NIC)),
        behind("disk", 0xB01_0000, iommus=u32(PHANDLE) + u32(DISK)),
        behind("bus", 0xB02_0000, iommu_map=rows, bus_range=u32(0) + u32(4)),
        behind("second", 0xB03_0000, iommus=u32(PHANDLE) + u32(NIC)),
    ]


def gets(*names: str) -> bytes:
    """A partial tree with devices of these names, none of which is forced."""
    places = {"nic": 0xB00_0000, "disk": 0xB01_0000, "bus": 0xB02_0000, "second": 0xB03_0000, "far": 0xB04_0000}
    nodes = []
    for i, name in enumerate(names):
        at, to = places[name], 0x1000_0000 + i * 0x1_0000
        nodes.append(passed(f"{name}@{to:x}", at, to, path=f"/{name}@{at:x}", forced=False))
    return partial(*nodes)


class Confined:
    """A machine with an SMMU, and domains a, b, … that own what the partial trees give them.

    `second` is IDR0 of another SMMU, at OTHER_BASE; `wires` what the first's node says of its interrupts.
    """

    def __init__(
        self,
        *trees: bytes,
        extra: list[Node] | None = None,
        second: int | None = None,
        wires: dict[str, bytes] | None = None,
        **hardware: Any,
    ) -> None:
        knobs = {name: hardware.pop(name) for name in ("deaf", "stuck", "without_gbpa", "control") if name in hardware}
        self.machine = Machine(2)
        self.machine.call("hv.sim.controller.use_arm64_devices")
        other = {name: hardware.pop(name) for name in ("stream_bits", "queue_bits", "output") if name in hardware}
        self.smmu = Smmu(self.machine, idr0(**hardware), **other)
        for name, value in knobs.items():
            setattr(self.smmu, name, value)
        self.other = Smmu(self.machine, second, OTHER_BASE)
        self.smmus = Smmus(self.machine, self.smmu, self.other)
        self.machine.walkers.visibility.snoops = self.smmu.snoops
        if not self.smmu.snoops:  # what it reads that nobody has cleaned is nothing that makes sense
            seen = self.machine.host.variable("hv.sim.visibility.seen")
            self.machine.ffi.buffer(self.machine.ffi.cast("char *", seen), RAM_BYTES)[:] = b"\x2f" * RAM_BYTES
        self.machine.put(KERNEL, kernel_image(KERNEL_SIZE))
        domains = []
        for i, blob in enumerate(trees):
            self.machine.put(PARTIAL + i * NEXT, blob)
            domains.append(domain("abcdefg"[i], PARTIAL + i * NEXT, len(blob)))
        nodes = [smmu_node(**(wires or {})), *devices(), *(extra or [])]
        if second is not None:
            nodes.append(smmu_node(OTHER_BASE, OTHER, 80))
        tree = board(domains, nodes)
        self.printed = self.machine.boot(flat(tree), iommus=True)

    def domain(self, id: int) -> Any:
        return self.machine.domain(id)

    def p2m(self, id: int, name: str, *arguments: Any) -> Any:
        return self.machine.call(f"hv.common.mm.p2m.P2m.{name}", self.machine.p2m(self.domain(id)), *arguments)

    def change(self, id: int, name: str, *arguments: Any) -> int:
        """A change of a map with its flush. Returns an errno."""
        code = 0
        token = None
        try:
            token = self.p2m(id, name, *arguments)
        except Exception as raised:  # noqa: BLE001
            code = getattr(raised, "code", -1)
        if token is not None:
            flush = self.machine.ffi.new("common_mm_p2m_GuestFlush *", token)
            self.machine.call("hv.common.mm.p2m.GuestFlush.flush", flush)
        return code

    def expected(self, id: int, address: int, write: bool) -> int | None:
        """Where the domain's map leads."""
        if address >> 40 or self.domain(id) is None:
            return None
        found = self.p2m(id, "lookup", address >> 12)
        if found.kind == 0 or not found.access & (W if write else R):
            return None
        return (found.mfn << 12) + address % 0x1000

    def reaches(self, stream: int, id: int, address: int, write: bool = True) -> bool:
        """Whether a device's access is allowed, which has to be as the domain's map says."""
        got = self.smmu.access(stream, address, write)
        assert got == self.expected(id, address, write), (hex(stream), hex(address))
        return got is not None

    def shut_down(self, id: int, reason: int) -> None:
        self.machine.enter(0)
        self.machine.call("hv.common.builder.lifecycle.shutdown_domain", self.domain(id), reason)

    def step(self) -> None:
        for cpu in range(2):
            self.machine.idle_step(cpu)
        self.machine.advance(1_000_000)
        self.machine.enter(0)

    def settle(self, steps: int = 400) -> None:
        for _ in range(steps):
            self.step()

    def shared(self, intid: int) -> Any:
        return self.machine.host.variable("hv.sim.controller.simulated_controller").shared[intid]

    def deliver(self) -> bool:
        """Takes the interrupts that have come. Whether there were any."""
        took = False
        for intid, name in ((EVENT, "interrupt"), (ERROR, "error_interrupt")):
            if getattr(self.smmu, name) and self.shared(intid).enabled:
                setattr(self.smmu, name, False)
                self.machine.enter(0)
                self.machine.call("hv.arm64.smmuv3_faults.rang", intid)
                took = True
        return took

    def hear(self, steps: int = 64) -> list[str]:
        """What is said of all that has come."""
        for _ in range(steps):
            self.deliver()
            self.step()
        return self.machine.lines()


CONFINES = "(hv) smmuv3@9050000: confines devices by stage {stage}, {streams} streams"


def fault(name: str, stream: int, what: str, address: int, how: str, id: int = 1) -> str:
    return f"(hv) d{id} {name}: stream {stream:#x} of smmuv3@9050000: {what} at {address:#x} ({how})"


@EACH_KIND
def test_a_device_reaches_what_its_guest_has(kind: str) -> None:
    """All of it, at the guest's addresses, and nothing beside; what is aborted is told."""
    confined = Confined(gets("nic"), gets("disk"), **KINDS[kind])
    stage = 2 if kind in STAGE2 else 1
    assert confined.printed == [CONFINES.format(stage=stage, streams=0x1_0000)]
    assert confined.domain(1).state == confined.domain(2).state == UP
    for stream, id in ((NIC, 1), (DISK, 2)):
        for frame in (0, 1, FRAMES // 2, FRAMES - 1):
            for write in (True, False):
                assert confined.reaches(stream, id, (GUEST_RAM + frame << 12) + 0x123, write)
        assert confined.reaches(stream, id, 0x1000_0040)  # its registers
        for beyond in (0, GUEST_RAM - 1 << 12, GUEST_RAM + FRAMES << 12, 0x1000_1000, 1 << 40, (1 << 64) - 1):
            assert not confined.reaches(stream, id, beyond)
    lines = confined.hear()
    assert fault("a", NIC, "translation fault", 0, "write") in lines
    assert fault("b", DISK, "translation fault", (1 << 64) - 1, "write", 2) in lines
    assert len(lines) == 12
    confined.smmus.check()


@EACH_KIND
def test_memory_and_registers_are_told_apart(kind: str) -> None:
    """A device that reaches another's registers does it in order and past caches."""
    confined = Confined(gets("nic"), **KINDS[kind])
    confined.reaches(NIC, 1, 0x1000_0000)
    confined.reaches(NIC, 1, GUEST_RAM << 12)
    (space,) = confined.smmu.spaces.values()
    assert [leaf.device for leaf in space.leaves] == [True, False]
    confined.smmus.check()


@EACH_KIND
def test_streams_that_nobody_has_are_aborted(kind: str) -> None:
    """Whoever they may be, from power-on on, and one line a second tells."""
    confined = Confined(gets("nic"), **KINDS[kind])
    for stream in (0, NIC - 1, NIC + 1, DISK, BUS, 0xFFFF, 0x1_0000, 0xFFFF_FFFF):
        assert confined.smmu.access(stream, GUEST_RAM << 12, False) is None
    lines = confined.hear(8)
    assert len(lines) == 1 and "stream 0x0, which no domain has: the stream reaches nothing" in lines[0]
    assert confined.smmu.gbpa & ABORT
    confined.smmus.check()


@EACH_KIND
@pytest.mark.parametrize("reason", [REBOOT, POWER_OFF])
def test_a_domain_that_ends_takes_its_streams_along(kind: str, reason: int) -> None:
    """At no moment does a device reach what is not its guest's any more, also not by what the SMMU remembers; and when
    all is gone, as much memory is free as before.
    """
    confined = Confined(gets("nic", "bus"), gets("disk"), **KINDS[kind])
    streams = [NIC, BUS, BUS + 0x100, BUS + BUS_STREAMS - 1]
    for stream in streams:
        assert confined.reaches(stream, 1, GUEST_RAM << 12)
    assert not confined.smmu.access(BUS + BUS_STREAMS, GUEST_RAM << 12, False)
    free = confined.machine.heap.free_frames
    for _ in range(2):
        confined.shut_down(1, reason)
        for _ in range(300):
            confined.smmu.look(streams, [GUEST_RAM + frame << 12 for frame in range(0, FRAMES, 37)])
            confined.step()
            check_owners(confined)
        if reason == POWER_OFF:
            break
        assert confined.domain(1).state == UP
    confined.machine.reclaim()
    if reason == REBOOT:
        assert all(confined.reaches(stream, 1, GUEST_RAM << 12) for stream in streams)
        assert abs(confined.machine.heap.free_frames - free) <= 2
    else:
        assert confined.domain(1) is None
        assert all(confined.smmu.access(stream, GUEST_RAM << 12, False) is None for stream in streams)
        assert confined.machine.heap.free_frames > free + FRAMES
    assert confined.reaches(DISK, 2, GUEST_RAM << 12)
    confined.smmus.check()


def check_owners(confined: Confined) -> None:
    """What the SMMU remembers of RAM belongs to the domain with the tag: nothing leads to what went to others."""
    owners = {domain.slot + 1: domain.id for domain in map(confined.domain, (1, 2)) if domain is not None}
    for (_, tag), space in confined.smmu.spaces.items():
        for leaf in space.leaves:
            if leaf.device:
                continue
            for at in (leaf.to, leaf.to + leaf.size - 0x1000):
                record = confined.machine.call(
                    "hv.common.mm.frames.FrameTable.record", confined.machine.frames, at >> 12
                )
                assert record.use == 3 and record.owner == owners.get(tag), (hex(at), tag)


# Memory that changes


class Changes(RuleBasedStateMachine):
    """Two domains' maps change while their devices look at all that they may."""

    @initialize(kind=st.sampled_from(sorted(KINDS)))
    def boot(self, kind: str) -> None:
        self.confined = Confined(gets("nic"), gets("disk"), **KINDS[kind])
        assert len(self.confined.printed) == 1
        self.frames = {GUEST_RAM, GUEST_RAM + 1, GUEST_RAM + 511, GUEST_RAM + 512, GUEST_RAM + FRAMES - 1, 0x1_0000}

    ids = st.sampled_from([1, 2])
    gfns = st.one_of(
        st.integers(GUEST_RAM, GUEST_RAM + FRAMES - 1), st.sampled_from([GUEST_RAM, GUEST_RAM + 512, 0x5_0000, 1 << 27])
    )

    def probe(self, gfn: int, count: int) -> None:
        self.frames.update((gfn, gfn + count // 2, gfn + count - 1, gfn + count))

    @rule(id=ids, gfn=gfns, frames=st.sampled_from([1, 2, 9, 100, 512, 4096]))
    def remove(self, id: int, gfn: int, frames: int) -> None:
        self.probe(gfn, frames)
        self.confined.change(id, "remove", gfn, frames)

    @rule(id=ids, gfn=gfns, frames=st.sampled_from([1, 2, 512]), access=st.sampled_from([R, R | W, R | W | X]))
    def protect(self, id: int, gfn: int, frames: int, access: int) -> None:
        self.probe(gfn, frames)
        self.confined.change(id, "protect", gfn, frames, access)

    @rule(id=ids, gfn=gfns, frames=st.sampled_from([1, 3, 64, 512]))
    def populate(self, id: int, gfn: int, frames: int) -> None:
        self.probe(gfn, frames)
        try:
            self.confined.p2m(id, "populate", gfn, frames)
        except Exception as raised:  # noqa: BLE001
            assert hasattr(raised, "code")

    @rule(id=ids, gfn=gfns, order=st.sampled_from([0, 3, 9]))
    def add_registers(self, id: int, gfn: int, order: int) -> None:
        gfn &= ~((1 << order) - 1)
        self.probe(gfn, 1 << order)
        self.confined.change(id, "add", gfn, 0x1_2345_0000 >> 12 << order, order, DEVICE)

    @rule(id=ids)
    def reset(self, id: int) -> None:
        self.confined.shut_down(id, REBOOT)
        for _ in range(600):
            self.look()
            self.confined.step()
            check_owners(self.confined)
            domain = self.confined.domain(id)
            if domain is not None and domain.state == UP:
                return
        raise AssertionError("it does not come back")

    def look(self) -> None:
        self.confined.smmu.look([NIC, DISK], [frame << 12 for frame in self.frames])

    @invariant()
    def devices_see_what_the_map_says(self) -> None:
        if not hasattr(self, "confined"):
            return
        self.look()
        for stream, id in ((NIC, 1), (DISK, 2)):
            for frame in self.frames:
                for write in (False, True):
                    self.confined.reaches(stream, id, frame << 12, write)
        check_owners(self.confined)
        self.confined.smmus.check()

    def teardown(self) -> None:
        if hasattr(self, "confined"):
            self.confined.hear(8)
            self.confined.smmus.check()


TestChanges = Changes.TestCase
TestChanges.settings = settings(deadline=None, max_examples=25, stateful_step_count=15)


@pytest.mark.parametrize("kind", ["stage 1", "stage 2, own"])
def test_memory_that_devices_cannot_be_shown_is_not_added(kind: str) -> None:
    """Their own tables have their share of memory: then neither the map nor they change."""
    confined = Confined(gets("nic"), **KINDS[kind])
    streams = confined.machine.ffi.addressof(confined.domain(1), "arm64_smmuv3_domain_DomainStreams")
    tables = (streams.stage2 if kind in STAGE2 else streams.stage1).tables
    tables.limit = tables.used
    free = confined.machine.heap.free_frames
    assert confined.change(1, "add", 0x9_0000, 0x1_0000, 0, DEVICE) == 12
    assert confined.p2m(1, "lookup", 0x9_0000).kind == 0
    assert not confined.reaches(NIC, 1, 0x9_0000 << 12)
    assert confined.machine.heap.free_frames == free
    assert confined.change(1, "remove", GUEST_RAM + 3, 1) == 12
    assert confined.reaches(NIC, 1, GUEST_RAM + 3 << 12)
    tables.limit += 8
    assert confined.change(1, "add", 0x9_0000, 0x1_0000, 0, DEVICE) == 0
    assert confined.change(1, "remove", GUEST_RAM + 3, 1) == 0
    assert confined.reaches(NIC, 1, 0x9_0000 << 12) and not confined.reaches(NIC, 1, GUEST_RAM + 3 << 12)
    confined.smmus.check()


@EACH_KIND
def test_the_queue_of_commands_goes_round(kind: str) -> None:
    confined = Confined(gets("nic"), queue_bits=4, **KINDS[kind])
    for i in range(60):
        confined.smmu.look([NIC], [GUEST_RAM + i << 12])
        assert confined.change(1, "remove", GUEST_RAM + i, 1) == 0
        assert not confined.reaches(NIC, 1, GUEST_RAM + i << 12)
    assert len(confined.smmu.commands) > 60 * 2
    confined.smmus.check()


def test_domains_without_devices_cost_no_commands() -> None:
    confined = Confined(gets("nic"), partial())
    before = len(confined.smmu.commands)
    assert confined.change(2, "remove", GUEST_RAM, 5) == 0
    assert len(confined.smmu.commands) == before
    assert confined.change(1, "remove", GUEST_RAM, 5) == 0
    assert len(confined.smmu.commands) > before


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        *[(kind, 0x12) for kind in STAGE1],
        *[(kind, 0x2A) for kind in STAGE2],
    ],
)
def test_each_page_that_goes_has_to_be_forgotten(kind: str, command: int) -> None:
    """The model notices when it is not."""
    confined = Confined(gets("nic"), **KINDS[kind])
    confined.smmu.ignores = {command}
    confined.smmu.look([NIC], [GUEST_RAM << 12])
    assert confined.change(1, "remove", GUEST_RAM, 1) == 0
    with pytest.raises(AssertionError):
        confined.reaches(NIC, 1, GUEST_RAM << 12)
    with pytest.raises(AssertionError):
        check_owners(confined)


@EACH_KIND
def test_an_end_has_to_be_told(kind: str) -> None:
    """The model notices a stream that is not read anew."""
    confined = Confined(gets("nic"), **KINDS[kind])
    confined.smmu.look([NIC], [GUEST_RAM << 12])
    confined.smmu.ignores = {0x04, 0x11, 0x28}
    confined.shut_down(1, POWER_OFF)
    with pytest.raises(AssertionError):
        for _ in range(300):
            confined.step()
            check_owners(confined)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not KINDS[kind].get("snoops", True)])
def test_what_is_not_cleaned_to_memory_is_not_seen(kind: str) -> None:
    """The model notices what is left in the caches: the domain's tables, and their changes."""
    confined = Confined(gets("nic"), **KINDS[kind])
    confined.smmu.look([NIC], [GUEST_RAM << 12])
    confined.machine.walkers.drop("clean")
    assert confined.change(1, "remove", GUEST_RAM, 1) == 0
    assert confined.smmu.findings or not confined.smmu.on


# Hardware that fails


@EACH_KIND
@pytest.mark.parametrize("how", ["stuck", "refuses"])
def test_an_smmu_that_does_not_forget_is_turned_off(kind: str, how: str) -> None:
    """Nothing waits for ever, and its devices reach nothing, what it remembers no more than the rest."""
    confined = Confined(gets("nic"), gets("disk"), **KINDS[kind])
    assert confined.reaches(NIC, 1, GUEST_RAM << 12)
    if how == "stuck":
        confined.smmu.stuck = True
    else:
        confined.smmu.refuses = 0x2A if kind in STAGE2 else 0x12
    assert confined.change(1, "remove", GUEST_RAM, 1) == 0
    why = "it does no commands" if how == "stuck" else "it refuses a command"
    assert confined.machine.lines() == [
        f"(hv) smmuv3@9050000: {why}: it is turned off, and what is behind it reaches no memory"
    ]
    assert not confined.smmu.control & ENABLED
    for stream in (NIC, DISK):
        assert confined.smmu.access(stream, GUEST_RAM + 1 << 12, False) is None
    assert confined.change(1, "remove", GUEST_RAM + 1, 1) == 0
    confined.shut_down(1, REBOOT)
    confined.settle()
    assert confined.domain(1) is None and confined.domain(2).state == UP
    said = confined.machine.lines()
    assert "(hv) a: its devices cannot be confined (ENODEV): the domain is not built" in said


@pytest.mark.parametrize("knob", ["deaf", "without_gbpa"])
def test_an_smmu_that_cannot_even_be_turned_off_ends_the_machine(knob: str) -> None:
    confined = Confined(gets("nic"))
    confined.smmu.stuck = True
    setattr(confined.smmu, knob, True)
    status, said = ending(lambda: confined.change(1, "remove", GUEST_RAM, 1))
    assert status != 0
    assert "smmuv3@9050000: it does no commands, and what is behind it cannot be stopped" in said


@pytest.mark.parametrize("knob", ["deaf", "stuck"])
def test_an_smmu_that_does_not_start_confines_nobody(knob: str) -> None:
    confined = Confined(gets("nic"), gets(), **{knob: True})
    why = "it does not answer" if knob == "deaf" else "it does no commands"
    assert confined.printed == [
        f"(hv) smmuv3@9050000: {why}",
        "(hv) smmuv3@9050000: it cannot be turned on (EIO)",
        "(hv) a: its devices cannot be confined (ENODEV): the domain is not built",
    ]
    assert confined.domain(1) is None and confined.domain(2).state == UP


def test_an_smmu_that_firmware_left_on_is_taken_over() -> None:
    confined = Confined(gets("nic"), control=0xD)
    assert confined.reaches(NIC, 1, GUEST_RAM << 12)
    confined.smmus.check()


UNFIT = "what is behind it is not confined"
HINDRANCES: dict[str, dict[str, Any]] = {
    "it translates nothing": {"stage1": False},
    "it does not walk AArch64's tables": {"formats": 1},
    "it stalls what it cannot translate": {"stall": 2},
    "its queues are too short": {"queue_bits": 3},
}


@pytest.mark.parametrize("why", HINDRANCES)
def test_an_smmu_that_cannot_be_used(why: str) -> None:
    """Its devices are as those without one."""
    confined = Confined(gets("nic"), **HINDRANCES[why])
    assert confined.printed[0] == f"(hv) smmuv3@9050000: {why}: {UNFIT}"
    assert "which no IOMMU guards" in confined.printed[1]
    assert confined.smmu.control == 0


# Faults


def test_what_is_alike_is_told_once_in_a_second() -> None:
    confined = Confined(gets("nic"))
    for _ in range(3):
        for offset in range(0, 64, 4):
            confined.smmu.access(NIC, 0x5000_0000 + offset, True)
        confined.smmu.access(NIC, 0x5000_0040, False)
    one, other = (
        fault("a", NIC, "translation fault", at, how) for at, how in ((0x5000_0000, "write"), (0x5000_0040, "read"))
    )
    lines = confined.hear(10)
    assert lines[:2] == [one, other] and len(lines) == 6
    confined.machine.advance(1_000_000_000)
    confined.smmu.access(NIC, 0x5000_0040, False)
    assert confined.hear(4) == [other]
    confined.smmus.check()


@EACH_KIND
def test_a_write_to_what_is_read_only(kind: str) -> None:
    confined = Confined(gets("nic"), **KINDS[kind])
    assert confined.change(1, "protect", GUEST_RAM + 5, 1, R) == 0
    assert confined.reaches(NIC, 1, GUEST_RAM + 5 << 12, False)
    assert not confined.reaches(NIC, 1, GUEST_RAM + 5 << 12, True)
    assert confined.hear(4) == [fault("a", NIC, "permission fault", GUEST_RAM + 5 << 12, "write")]


def test_more_faults_than_have_room() -> None:
    """Some are lost, which is said; those after them are told again."""
    confined = Confined(gets("nic"))
    for i in range(300):
        confined.smmu.access(NIC, 0x5000_0000 + i * 0x1000, True)
    lines = confined.hear()
    assert "(hv) smmuv3@9050000: faults came faster than they are read: some are lost" in lines
    assert sum("translation fault" in line for line in lines) == 20
    confined.machine.advance(1_000_000_000)
    for _ in range(3):
        confined.smmu.access(NIC, 0x7000_0000, False)
        assert fault("a", NIC, "translation fault", 0x7000_0000, "read") in confined.hear(4)
        confined.machine.advance(1_000_000_000)
    confined.smmus.check()


def test_a_storm_of_faults_costs_little() -> None:
    """However fast they come, the interrupt stays masked, and a millisecond sees a few events read."""
    confined = Confined(gets("nic"))
    interrupts = 0
    before = confined.smmu.plain[EVENTQ_CONS] & 0xFF
    for _ in range(200):
        for i in range(40):
            confined.smmu.access(NIC, 0x5000_0000 + i * 0x1000, True)
        confined.smmu.interrupt = True
        interrupts += confined.deliver()
        confined.step()
        after = confined.smmu.plain[EVENTQ_CONS] & 0xFF
        assert (after - before) % 0x100 <= 32
        before = after
    assert interrupts == 1
    confined.hear()
    assert confined.shared(EVENT).enabled and confined.shared(ERROR).enabled
    assert confined.domain(1).state == UP
    confined.smmus.check()


def test_errors_of_its_own() -> None:
    confined = Confined(gets("nic"))
    confined.smmu.err(EVENT_ERROR)
    assert confined.hear(4) == ["(hv) smmuv3@9050000: faults came faster than they are read: some are lost"]
    confined.smmu.err(SERVICE_ERROR)
    assert confined.hear(4) == ["(hv) smmuv3@9050000: it has failed, and aborts all"]
    assert confined.smmu.plain[GERRORN] == confined.smmu.errors & ~COMMAND_ERROR
    assert confined.hear(4) == []


# Which device has which streams

PATH = 'property "xen,path" of '


def refused(name: str, what: str, by: str = "a", at: int = 0x1000_0000) -> str:
    return f"(hv) {by}: {PATH}{name}@{at:x} {what}: the domain is not built"


def with_far(**properties: bytes) -> list[str]:
    """What is said when domain a gets a device with these properties."""
    confined = Confined(gets("far"), gets("disk"), extra=[behind("far", 0xB04_0000, **properties)])
    assert confined.domain(2).state == UP
    return confined.printed[:-1] if confined.printed[-1].startswith("(hv) smmuv3") else confined.printed


TREES = "correct the machine's tree"
MISTAKES = {
    'whose "iommus" cannot be read from cell 0 on': [
        {"iommus": b""},
        {"iommus": u32(PHANDLE)},
        {"iommus": u32(0x7777) + u32(1)},
        {"iommus": b"abc"},
    ],
    'whose "iommus" cannot be read from cell 2 on': [
        {"iommus": u32(PHANDLE) + u32(3) + u32(PHANDLE)},
        {"iommus": u32(PHANDLE) + u32(3) + u32(0x7777) + u32(3)},
    ],
    'whose "iommu-map" cannot be read from cell 0 on': [
        {"iommu_map": b""},
        {"iommu_map": u32(0) + u32(PHANDLE) + u32(0)},
        {"iommu_map": u32(0) + u32(0x7777) + u32(0) + u32(0x1_0000)},
        {"iommu_map": u32(0) + u32(PHANDLE) + u32(0) + u32(0)},
        {"iommu_map": u32(1) + u32(PHANDLE) + u32(0) + u32(0x1_0000)},
        {"iommu_map": u32(0xFFFF_FFFF) + u32(PHANDLE) + u32(0) + u32(0xFFFF_FFFF)},
    ],
}


@pytest.mark.parametrize(("said", "properties"), [(said, each) for said, all in MISTAKES.items() for each in all])
def test_streams_that_cannot_be_read_cost_their_domain_alone(said: str, properties: dict[str, bytes]) -> None:
    assert with_far(**properties) == [refused("far", f"leads to far@b040000, {said}: {TREES}")]


def test_streams_beyond_the_smmus() -> None:
    assert with_far(iommus=u32(PHANDLE) + u32(0x1_0000)) == [
        refused("far", """leads to far@b040000, whose "iommus" has stream 0x10000: its IOMMU's end at 0xffff""")
    ]
    assert with_far(iommu_map=u32(0) + u32(PHANDLE) + u32(1) + u32(0x1_0000)) == [
        refused("far", """leads to far@b040000, whose "iommu-map" has stream 0x10000: its IOMMU's end at 0xffff""")
    ]


def test_a_stream_has_one_owner() -> None:
    """Also when a device of another domain has it; two of one domain may share one."""
    confined = Confined(gets("nic"), gets("second"))
    assert confined.printed[0] == refused(
        "second", "leads to second@b030000, whose stream 0x8 a has already: give both devices to one domain", "b"
    )
    confined = Confined(gets("nic", "second"), gets("disk"))
    assert len(confined.printed) == 1 and confined.reaches(NIC, 1, GUEST_RAM << 12)
    confined = Confined(gets("bus"), gets("far"), extra=[behind("far", 0xB04_0000, iommus=u32(PHANDLE) + u32(BUS + 7))])
    assert "whose stream 0x1007 a has already" in confined.printed[0]


NOT_CONFINED = [
    {},
    {"iommus": u32(0x9001) + u32(5) + u32(6)},
    {"iommus": u32(PHANDLE) + u32(3) + u32(0x9001) + u32(5) + u32(6)},
    {"iommus": u32(0x9002) + u32(5)},
    {"iommu_map": u32(0) + u32(PHANDLE) + u32(0x2000) + u32(0x100)},
    {"iommu_map": u32(0) + u32(PHANDLE) + u32(0x2000) + u32(0x100), "bus_range": u32(0) + u32(1)},
    {"iommu_map": u32(1) + u32(PHANDLE) + u32(0x2000) + u32(0xFF), "bus_range": u32(0) + u32(0)},
    {
        "iommu_map": u32(0) + u32(PHANDLE) + u32(0x2000) + u32(0x100) + u32(0x100) + u32(0x9001) + u32(0) + u32(0x100),
        "bus_range": u32(0) + u32(1),
    },
]
OTHERS = [
    Node("old@1", {"compatible": strings("arm,mmu-500"), "#iommu-cells": u32(2), "phandle": u32(0x9001)}),
    smmu_node(0x907_0000, 0x9002, 80, status=strings("disabled")),
]


@pytest.mark.parametrize("properties", NOT_CONFINED)
def test_a_device_that_can_pass_by_is_not_confined(properties: dict[str, bytes]) -> None:
    confined = Confined(gets("far"), gets("disk"), extra=[behind("far", 0xB04_0000, **properties), *OTHERS])
    assert confined.printed[0] == refused(
        "far",
        'is /far@b040000, which no IOMMU guards: write "xen,force-assign-without-iommu" if its guest is to be trusted',
    )
    assert confined.domain(2).state == UP


@pytest.mark.parametrize(
    "properties",
    [
        {"bus_range": u32(0) + u32(0)},
        {"iommu_map_mask": u32(0xFF)},
        {"iommu_map_mask": u32(0xF8), "bus_range": u32(3) + u32(7)},
    ],
)
def test_a_bus_whose_requesters_have_streams_is_confined(properties: dict[str, bytes]) -> None:
    rows = u32(0x80) + u32(PHANDLE) + u32(0x2080) + u32(0x80) + u32(0) + u32(PHANDLE) + u32(0x2000) + u32(0x80)
    confined = Confined(gets("far"), extra=[behind("far", 0xB04_0000, iommu_map=rows, **properties)])
    assert len(confined.printed) == 1
    assert confined.reaches(0x2000, 1, GUEST_RAM << 12) and confined.reaches(0x20FF, 1, GUEST_RAM << 12)


def test_a_forced_device_is_confined_all_the_same() -> None:
    node = passed("nic@10000000", 0xB00_0000, 0x1000_0000, path="/nic@b000000", forced=True)
    confined = Confined(partial(node))
    assert confined.reaches(NIC, 1, GUEST_RAM << 12)
    assert not confined.reaches(NIC, 1, MODULES - 0x1000_0000)


def test_an_smmus_registers_are_the_hypervisors() -> None:
    node = passed("x", 0x905_0000 + 0x1_0000, 0x1000_0000, path="/nic@b000000")
    assert Confined(partial(node)).printed[0] == (
        '(hv) a: property "xen,reg" of x has 0x9060000 to 0x9061000, where an SMMU is, which the hypervisor uses: '
        "the domain is not built"
    )


# Several SMMUs, and their interrupts


def of_other() -> Node:
    return behind("far", 0xB04_0000, iommus=u32(OTHER) + u32(NIC))


def test_smmus_translate_alike() -> None:
    """By stage 1 where one has nothing else; a stream's number is each SMMU's own."""
    confined = Confined(gets("nic"), gets("far"), extra=[of_other()], stage2=True, second=idr0())
    assert [line[-40:] for line in confined.printed] == ["confines devices by stage 1, 65536 streams"[-40:]] * 2
    assert confined.reaches(NIC, 1, GUEST_RAM << 12)
    assert confined.other.access(NIC, GUEST_RAM << 12, True) == confined.expected(2, GUEST_RAM << 12, True)
    assert confined.change(2, "remove", GUEST_RAM, 1) == 0
    assert confined.other.access(NIC, GUEST_RAM << 12, True) is None
    assert confined.reaches(NIC, 1, GUEST_RAM << 12)
    confined.smmus.check()


def test_one_domains_devices_behind_two_smmus() -> None:
    confined = Confined(gets("nic", "far"), extra=[of_other()], stage2=True, second=idr0(stage2=True))
    for frame in range(4):
        address = GUEST_RAM + frame << 12
        assert confined.reaches(NIC, 1, address)
        assert confined.other.access(NIC, address, True) == confined.expected(1, address, True)
        assert confined.change(1, "remove", address >> 12, 1) == 0
        assert not confined.reaches(NIC, 1, address) and confined.other.access(NIC, address, True) is None
    confined.smmus.check()


@pytest.mark.parametrize("seed", range(20))
def test_two_cpus_attach_streams_of_one_group(seed: int) -> None:
    """Two domains that are built at the same time: both get their stream, in one table of the second level."""
    confined = Confined(gets("disk"))
    ffi, free = confined.machine.ffi, confined.machine.heap.free_frames
    units = confined.machine.host.variable("hv.arm64.smmuv3_units.units")
    words = struct.unpack("<4Q", confined.smmu.entry(DISK)[:32])
    entry = ffi.new("arm64_smmuv3_streams_StreamEntry *", words)[0]

    def attaches(stream: int) -> Callable[[], object]:
        return lambda: confined.machine.call(
            "hv.arm64.smmuv3_domain.attach_some", ffi.addressof(units.table[0]), stream, 1, entry
        )

    in_turns(seed, *team(attaches(SPARE), attaches(SPARE + 1)))
    for stream in (SPARE, SPARE + 1):
        assert confined.reaches(stream, 1, GUEST_RAM << 12)
    assert confined.machine.heap.free_frames == free - 4
    confined.smmus.check()


def test_an_smmu_that_cannot_do_as_the_others_do() -> None:
    confined = Confined(gets("nic"), gets("far"), extra=[of_other()], second=idr0(stage1=False, stage2=True))
    assert confined.printed[0] == (
        f"(hv) smmuv3@{OTHER_BASE:x}: it has no stage 1, as others have: what is behind it is not confined"
    )
    assert "(hv) b: " in confined.printed[1] and "which no IOMMU guards" in confined.printed[1]
    assert confined.reaches(NIC, 1, GUEST_RAM << 12) and confined.other.control == 0


def test_one_wire_for_all_interrupts() -> None:
    wires = {"interrupts": u32(0) + u32(74) + u32(4), "interrupt_names": strings("combined")}
    confined = Confined(gets("nic"), wires=wires)
    assert not confined.reaches(NIC, 1, 0x5000_0000)
    assert confined.hear(4) == [fault("a", NIC, "translation fault", 0x5000_0000, "write")]
    assert not confined.shared(ERROR).enabled


@pytest.mark.parametrize(
    ("wires", "why"),
    [
        ({"interrupt_names": strings("a", "b")}, "EINVAL"),
        ({"interrupts": b""}, "EINVAL"),
        ({"interrupts": u32(0) + u32(988) + u32(1)}, "EINVAL"),
    ],
)
def test_faults_without_an_interrupt_are_confined_and_not_told(wires: dict[str, bytes], why: str) -> None:
    confined = Confined(gets("nic"), wires=wires)
    assert confined.printed[1] == (
        f"(hv) smmuv3@9050000: faults are not told, since its interrupts cannot be used ({why})"
    )
    assert confined.reaches(NIC, 1, GUEST_RAM << 12) and not confined.reaches(NIC, 1, 0x5000_0000)
    assert confined.hear(4) == []
