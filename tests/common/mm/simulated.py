"""The simulated machine as the tests of memory management use it: fresh state, memory of any shape, and death in a
child."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from compiler.hostbuild import Library, Raised, library
from tests.common.host import host
from tests.common.walkers import Walkers

RAM_BASE = 0x4000_0000
RAM_FRAMES = 0x4000
BASE = RAM_BASE >> 12
ENOMEM, ESRCH, EEXIST, EINVAL, ENOENT, EFAULT, ENOSPC, EOVERFLOW, E2BIG = 12, 3, 17, 22, 2, 14, 28, 75, 7
MM = "hv.common.mm."
FRESH = (
    f"{MM}heap.heap",
    f"{MM}coloring.coloring",
    f"{MM}frames.frames",
    f"{MM}early.early",
    f"{MM}nodes.nodes",
    "hv.common.kernel.console.console",
    "hv.sim.machine.machine",
    "hv.sim.fixtures.tables",
    "hv.sim.fixtures.guest",
    "hv.sim.fixtures.hypervisor",
    "hv.sim.fixtures.device",
    "hv.sim.fixtures.breakless",
    "hv.sim.x86_tables.long_mode",
    "hv.sim.x86_tables.nested",
    "hv.sim.x86_tables.lonely",
    "hv.sim.fixtures.small",
    "hv.sim.fixtures.large",
    "hv.sim.fixtures.p2m",
    "hv.sim.spaces.arm_space",
    "hv.sim.spaces.pc_space",
    "hv.sim.spaces.lonely_space",
)


class Machine:
    """One power-on of the simulated machine. There is one at a time: its state lies in the library."""

    def __init__(self) -> None:
        self.library_host = host()
        self.library: Library = library()
        self.ffi = self.library.ffi
        for name in FRESH:
            self.clear(self.library.variable(name))
        host().cleared_per_cpu("hv.sim.machine.SimulatedCpu")
        host().cleared_per_cpu(f"{MM}nodes.CpuNode")
        host().cleared_per_cpu("hv.x86.tlb.Asked")  # else a CPU that a test has left is asked, and waited for
        self.call("hv.sim.machine.enter_cpu", 0)
        self.walkers = Walkers(self.library)
        self.call("hv.sim.console.attach")
        self.heap = self.library.variable(f"{MM}heap.heap")
        self.frames = self.library.variable(f"{MM}frames.frames")

    def clear(self, thing: Any) -> None:
        self.ffi.memmove(thing, bytes(self.ffi.sizeof(thing[0])), self.ffi.sizeof(thing[0]))

    def call(self, name: str, *arguments: Any) -> Any:
        return self.library.call(name, *arguments)

    def mm(self, name: str, *arguments: Any) -> Any:
        return self.library.call(MM + name, *arguments)

    def add_bank(self, start: int, count: int, storage: int, node: int = 0) -> None:
        """A bank of memory from frame `start`, whose records begin at the RAM's frame `storage`."""
        self.mm("frames.FrameTable.add_bank", self.frames, start, count, RAM_BASE + storage * 4096, node)

    def with_heap(self, frames: int = RAM_FRAMES - 64) -> Machine:
        """Memory that exists: the arena's first 64 frames hold the frame table, the heap has the next ones."""
        self.add_bank(BASE, RAM_FRAMES, 0)
        self.mm("heap.Heap.give", self.heap, BASE + 64, BASE + 64 + frames)
        return self

    def allocate(self, order: int) -> int | None:
        """None: ENOMEM."""
        return self.errno_or(self.mm, "heap.Heap.allocate", self.heap, order)[1]

    def free(self, mfn: int, order: int) -> None:
        self.mm("heap.Heap.free", self.heap, mfn, order)

    def errno_or(self, function: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
        """0 and the value, or an errno and None."""
        try:
            return 0, function(*arguments)
        except Raised as raised:
            return raised.code, None

    def record(self, mfn: int) -> Any:
        return self.mm("frames.FrameTable.record", self.frames, mfn)

    def memory(self, mfn: int, frames: int = 1) -> Any:
        """The bytes of frames that exist."""
        ram = self.library.variable("hv.sim.memory.ram")
        return self.ffi.buffer(self.ffi.cast("char *", ram) + (mfn - BASE) * 4096, frames * 4096)

    @property
    def colors(self) -> range:
        return range(1 << self.library.variable(f"{MM}coloring.coloring").bits)

    def begin_colors(self, count: int, storage: int) -> None:
        """Blocks are told apart by so many colours; the heap's lists of them, for all nodes, lie from the RAM's frame
        `storage` on. Before the heap has any memory."""
        coloring = self.library.variable(f"{MM}coloring.coloring")
        coloring.told = count * 4096
        self.mm("coloring.Coloring.begin", coloring)
        self.mm("colored.begin_lists", 8, RAM_BASE + storage * 4096)

    def _lists(self, zone: Any, order: int) -> list[tuple[range | None, int]]:
        """Of blocks of this order: the colours of their first frames, where they are told apart, and the first."""
        count = len(self.colors)
        if 1 << order >= count:
            return [(None, zone.first[order])]
        assert not zone.first[order]
        lists = []
        for at in range(count >> order, 2 * count >> order):
            first = zone.colors.first[at]
            assert (zone.colors.stocked.words[at // 64] >> at % 64 & 1 == 1) == (first != 0)
            color = (at << order) - count
            lists.append((range(color, color + 1), first))
        return lists

    def free_blocks(self) -> list[tuple[int, int]]:
        """Every block on the heap's lists, as first frame and order; checks the links on the way."""
        found = []
        for node in range(self.heap.zone_count):
            zone = self.heap.zones[node]
            before = sum(1 << order for _, order in found)
            for order in range(19):
                blocks = len(found)
                for colors, first in self._lists(zone, order):
                    index, previous = first, 0
                    while index:
                        mfn = self.mm("frames.FrameTable.mfn_at", self.frames, index)
                        record = self.record(mfn)
                        assert (record.use, record.order, record.previous) == (1, order, previous)
                        assert self.mm("frames.FrameTable.bank_of", self.frames, mfn).node == node
                        assert colors is None or mfn % len(self.colors) in colors
                        found.append((mfn, order))
                        previous, index = index, record.next
                assert len(found) - blocks == zone.blocks[order]
                assert (zone.stocked >> order & 1 == 1) == (len(found) != blocks)
            assert zone.free_frames == sum(1 << order for _, order in found) - before
        return found


@dataclass
class Death:
    """How a child ended: by a panic or a trap, or with an exit status."""

    panicked: bool
    status: int
    said: str


def death_of(action: Callable[[], object]) -> Death:
    """Runs the action in a child, which it is to end."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(writer, 2)
        action()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    trapped = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGILL, signal.SIGTRAP)
    left = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
    return Death(trapped or "PANIC" in said, left, said)
