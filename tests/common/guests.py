"""The simulated machine with domains on it: power-on, CPUs that take turns, modules and device trees in its memory."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import libfdt

from tests.common.host import Host, host
from tests.common.walkers import STATE, Walkers

RAM_BASE = 0x4000_0000
RAM_BYTES = 0x400_0000
CPUS = 8
IMAGE = (RAM_BASE, RAM_BASE + 0x10_0000)  # what plays the hypervisor's image
TREE = RAM_BASE + 0x10_0000
MODULES = RAM_BASE + 0x20_0000
UNTOUCHED = {"hv.sim.memory.ram", *STATE}
SCHED = "hv.common.sched.core."
VCPUS = "hv.sim.vcpus."
MEMORY = "hv.common.mm."
KERNEL = "hv.common.kernel."
BUILDER = "hv.common.builder."

RUNNING, RUNNABLE, BLOCKED, OFFLINE = range(4)
BUILDING, UP, SHUT_DOWN, DYING, DEAD = range(5)
POWER_OFF, REBOOT, SUSPEND, CRASH = range(4)


class Machine:
    """One power-on. All that the library holds is as its image has it; memory holds what was there before."""

    at_power_on: ClassVar[dict[str, bytes]] = {}

    def __init__(self, cpus: int = CPUS) -> None:
        self.host: Host = host()
        self.ffi = self.host.ffi
        self.lib = self.host.library.lib
        self.cpus = cpus
        self._restore()
        self.walkers = Walkers(self.host.library)
        self.call("hv.sim.console.attach")
        self.call(f"{VCPUS}use_simulated_vcpus")
        machine = self.host.variable("hv.sim.machine.machine")
        machine.kick_handler = self.host.function("hv.sim.interrupts.kicked")
        machine.alarm_handler = self.host.function("hv.sim.interrupts.rang")
        self.machine = machine
        for cpu in reversed(range(cpus)):
            self.enter(cpu)
            self.call(f"{KERNEL}cpus.mark_online")

    def _restore(self) -> None:
        """Puts every variable back to what it was when the library was loaded."""
        if not Machine.at_power_on:
            Machine.at_power_on.update(self._initial())
        for name, value in Machine.at_power_on.items():
            self.ffi.memmove(self.host.variable(name), value, len(value))
        area = self.lib.cx_per_cpu
        size = len(area) * self.host.per_cpu_size
        self.ffi.memmove(self.ffi.cast("char *", area), bytes(size), size)
        self.enter(0)

    def _initial(self) -> dict[str, bytes]:
        """Objects begin as zeros; numbers may have a value, which nothing has changed so far. The rest is constant."""
        found = {}
        writable = _writable()
        for name in self.host.library.symbols["variables"]:
            thing = self.host.variable(name)
            at = int(self.ffi.cast("uintptr_t", thing))
            if name not in UNTOUCHED and any(start <= at < end for start, end in writable):
                kind = self.ffi.typeof(thing).item
                size = self.ffi.sizeof(kind)
                zeros = kind.kind in ("struct", "array")
                found[name] = bytes(size) if zeros else bytes(self.ffi.buffer(thing, size))
        return found

    def call(self, name: str, *arguments: Any) -> Any:
        return self.host.call(name, *arguments)

    def core(self, name: str, *arguments: Any) -> Any:
        return self.call(SCHED + name, *arguments)

    def enter(self, cpu: int) -> None:
        self.call("hv.sim.machine.enter_cpu", cpu)
        self.cpu = cpu

    def with_heap(self, frames: int = 0x3F00) -> Machine:
        """All memory but the first megabyte, where the frame table lies, is on the heap."""
        self.call(f"{MEMORY}frames.FrameTable.add_bank", self.frames, RAM_BASE >> 12, RAM_BYTES >> 12, RAM_BASE, 0)
        self.call(f"{MEMORY}heap.Heap.give", self.heap, (RAM_BASE >> 12) + 256, (RAM_BASE >> 12) + 256 + frames - 256)
        return self

    @property
    def heap(self) -> Any:
        return self.host.variable(f"{MEMORY}heap.heap")

    @property
    def frames(self) -> Any:
        return self.host.variable(f"{MEMORY}frames.frames")

    def start_scheduling(self, spared: int = 0) -> Machine:
        """The bits of `spared` are CPUs that are given no vCPUs."""
        self.core("start_scheduler")
        for cpu in reversed(range(self.cpus)):
            self.enter(cpu)
            self.core("spare_processor" if spared >> cpu & 1 else "start_processor")
        return self

    # CPUs

    def settle(self, cpu: int) -> Any:
        """What is due on the CPU is done there. Returns the vCPU that it runs; NULL: none."""
        self.enter(cpu)
        self.call("hv.sim.machine.poll")
        return self.core("settle")

    def settle_all(self, rounds: int = 4) -> None:
        """Every CPU in turn does what is due, also what the others caused."""
        for _ in range(rounds):
            for cpu in range(self.cpus):
                self.settle(cpu)

    def idle_step(self, cpu: int) -> bool:
        """What the idle loop does on the CPU, once. Whether there was long work."""
        self.settle(cpu)
        return bool(self.call(f"{KERNEL}work.do_step"))

    def press(self, key: str, silent: tuple[int, ...] = ()) -> list[str]:
        """Presses keys on CPU 0 while all CPUs are idle, but for those that are stuck. Returns what they printed."""
        self.lines()
        self.enter(0)
        for character in key:
            self.call(f"{KERNEL}keys.press", ord(character))
        for _ in range(100_000):
            self.idle_step(0)
            if not self.host.variable(f"{KERNEL}keys.pressed").busy:
                return self.lines()
            for cpu in range(1, self.cpus):
                if cpu not in silent:
                    self.settle(cpu)
            self.advance(1_000_000 if silent else 1000)
            self.enter(0)
        raise AssertionError("the keys' output has no end")

    def reclaim(self) -> None:
        """Every CPU looks away, and what has been retired goes."""
        reclaimer = self.host.variable(f"{KERNEL}reclaim.reclaimer")
        for _ in range(1000):
            if not reclaimer.busy:
                break
            self.advance(2_000_000)
            for cpu in range(self.cpus):
                self.idle_step(cpu)
        assert not reclaimer.busy, "what was retired does not go"
        self.enter(0)

    def advance(self, ns: int) -> None:
        self.call("hv.sim.machine.advance", ns)

    def processor(self, cpu: int) -> Any:
        return self.host.per_cpu(cpu, "hv.common.sched.processor.Processor")

    def queue(self, cpu: int) -> list[Any]:
        """The vCPUs that wait on the CPU: those that woke, then those that take turns, each in order."""
        queues = self.host.per_cpu(cpu, "hv.common.sched.fair_share.RunQueue")
        found = [*self._queued(queues.woken), *self._queued(queues.turns)]
        assert len(found) == queues.waiting
        return found

    def _queued(self, queue: Any) -> list[Any]:
        found = []
        link, before = queue.first, self.ffi.NULL
        while link:
            assert link.queued and link.previous == before
            found.append(link.owner)
            link, before = link.next, link
        assert len(found) == queue.length and queue.last == before
        return found

    # Memory

    def memory(self, address: int, size: int) -> Any:
        """The bytes at a physical address."""
        assert RAM_BASE <= address and address + size <= RAM_BASE + RAM_BYTES
        ram = self.host.variable("hv.sim.memory.ram")
        return self.ffi.buffer(self.ffi.cast("char *", ram) + (address - RAM_BASE), size)

    def put(self, address: int, data: bytes) -> None:
        self.memory(address, len(data))[:] = data

    def guest_bytes(self, domain: Any, address: int, size: int) -> bytes:
        """What a guest sees at its physical address; it must be its own memory."""
        p2m = self.p2m(domain)
        found = bytearray()
        while size:
            frame = self.call(f"{MEMORY}p2m.P2m.lookup", p2m, address >> 12)
            assert frame.kind == 1, hex(address)
            part = min(size, 4096 - address % 4096)
            found += self.memory((frame.mfn << 12) + address % 4096, part)
            address, size = address + part, size - part
        return bytes(found)

    def p2m(self, domain: Any) -> Any:
        memory = self.ffi.addressof(domain, "common_model_memory_DomainMemory")
        return self.ffi.addressof(memory, "p2m")

    # Domains

    def domain(self, id: int) -> Any:
        """The domain of this number; None: there is none."""
        table = self.host.variable("hv.common.model.domain.domains")
        for domain in table.slots:
            if domain and domain.id == id:
                return domain
        return None

    def vcpus(self, domain: Any) -> list[Any]:
        table = self.ffi.addressof(domain, "common_model_vcpu_Vcpus")
        return [table.table[i] for i in range(table.filled)]

    def lines(self) -> list[str]:
        """What the hypervisor has printed since the last call, but for who has the keyboard."""
        printed = self.host.printed().replace("\r", "").splitlines()
        return [line for line in printed if not line.startswith("(hv) input to ")]

    def boot(self, tree: bytes, iommus: bool = False) -> list[str]:
        """As arm64's boot does it: memory, domains, heap, CPUs, building. Returns what was printed."""
        self.put(TREE, tree)
        self.call(f"{VCPUS}load_tree", TREE, len(tree))
        early = self.host.variable(f"{MEMORY}early.early")
        self.call("hv.common.drivers.devicetree.add_memory")
        self.call("hv.common.drivers.tree_nodes.read_nodes")
        self.call("hv.common.drivers.devicetree.reserve_memory")
        self.call(f"{MEMORY}early.EarlyMemory.reserve", early, *IMAGE)
        self.call(f"{MEMORY}early.EarlyMemory.reserve", early, TREE, TREE + len(tree))
        if iommus:
            self.call("hv.sim.controller.find_smmus")
        self.call("hv.arm64.guest_places.find_places")
        self.call(f"{BUILDER}dom0less.read_domains", self.call("hv.common.drivers.devicetree.machine_cpus"))
        self.call(f"{MEMORY}early.start_heap")
        self.start_scheduling()
        self.enter(0)
        if iommus:
            self.call("hv.arm64.smmuv3.start_iommus")
        self.call(f"{BUILDER}lifecycle.build_domains")
        return self.lines()


def _writable() -> list[tuple[int, int]]:
    """The ranges of this process's memory that may be written."""
    with open("/proc/self/maps") as maps:
        parts = [line.split() for line in maps]
    return [(int(p[0].split("-")[0], 16), int(p[0].split("-")[1], 16)) for p in parts if "w" in p[1]]


# Device trees


def u32(x: int) -> bytes:
    return struct.pack(">I", x)


def u64(x: int) -> bytes:
    return struct.pack(">Q", x)


def strings(*texts: str) -> bytes:
    return b"".join(text.encode() + b"\0" for text in texts)


@dataclass
class Node:
    name: str
    properties: dict[str, bytes] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)


def flat(root: Node, reserved: Iterable[tuple[int, int]] = ()) -> bytes:
    writer = libfdt.FdtSw(size_hint=1 << 16)
    for start, size in reserved:
        writer.add_reservemap_entry(start, size)
    writer.finish_reservemap()
    _write(writer, root)
    made = writer.as_fdt()
    made.pack()
    return bytes(made.as_bytearray())


def _write(writer: Any, node: Node) -> None:
    with writer.add_node(node.name):
        for name, value in node.properties.items():
            writer.property(name, value)
        for child in node.children:
            _write(writer, child)


def machine_tree(domains: Iterable[Node], cpus: int = CPUS) -> Node:
    """The simulated machine, with domains under /chosen."""
    cores = [Node(f"cpu@{i:x}", {"device_type": strings("cpu"), "reg": u32(i)}) for i in range(cpus)]
    return Node(
        "",
        {"#address-cells": u32(2), "#size-cells": u32(2)},
        [
            Node("memory@40000000", {"device_type": strings("memory"), "reg": u64(RAM_BASE) + u64(RAM_BYTES)}),
            Node("cpus", {"#address-cells": u32(1), "#size-cells": u32(0)}, cores),
            Node("chosen", {}, list(domains)),
        ],
    )


def module(kind: str, start: int, size: int, spelling: tuple[str, ...] = ("multiboot,module",), **more: bytes) -> Node:
    properties = {"compatible": strings(f"multiboot,{kind}", *spelling), "reg": u64(start) + u64(size), **more}
    return Node(f"{kind}@{start:x}", properties)


def domain_node(name: str, children: list[Node], memory: int = 4096, cpus: int = 1, **more: bytes) -> Node:
    """`memory` in KiB."""
    properties = {
        "compatible": strings("xen,domain"),
        "#address-cells": u32(2),
        "#size-cells": u32(2),
        "memory": u64(memory),
        "cpus": u32(cpus),
        **more,
    }
    return Node(name, properties, children)


def kernel_image(size: int, text_offset: int = 0, image_size: int | None = None, seed: int = 1) -> bytes:
    """An arm64 Image: its header, then bytes that depend on the seed."""
    header = bytearray(64)
    struct.pack_into("<QQQ", header, 8, text_offset, image_size or size, 0b1010)
    header[56:60] = b"ARM\x64"
    return bytes(header) + pattern(size - 64, seed)


def pattern(size: int, seed: int) -> bytes:
    unit = bytes((seed * 37 + i * (seed | 1)) & 0xFF | 1 for i in range(256))
    return (unit * (size // 256 + 1))[:size]
