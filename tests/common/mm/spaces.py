"""An address space of the hypervisor in the compiled library, with the walkers of the CPUs that use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.common.mm.simulated import Machine
from tests.common.mm.tables import NORMAL, R, W, attributes
from tests.common.walkers import HYPERVISOR, LONG_MODE

PAGE = 4096
BLOCK = 512  # pages
REGION = 4 * BLOCK  # pages for windows
SIGN_FREE = (1 << 48) - 1
DATA = attributes(R | W, NORMAL, 0)
PLENTY = 1 << 30


@dataclass(frozen=True)
class SpaceKind:
    """One of the address spaces in hv/sim/spaces.py."""

    variable: str
    shown: str
    stage: int
    start: int

    def __str__(self) -> str:
        return self.variable


PC_START = 0xFFFF_8100_0000_0000
ARM = SpaceKind("arm_space", "Stage1, HypervisorWalker", HYPERVISOR, 0xA0_0000_0000)
PC = SpaceKind("pc_space", "LongMode, HypervisorWalker", LONG_MODE, PC_START)
LONELY = SpaceKind("lonely_space", "LongMode, LonelyWalker", LONG_MODE, PC_START)


class Space:
    """On a fresh machine, walked by so many CPUs. Numbers of pages are those that walkers translate."""

    def __init__(self, kind: SpaceKind, cpus: int = 1) -> None:
        self.kind = kind
        self.machine = Machine().with_heap()
        self.walkers = self.machine.walkers
        self.walkers.rules.needs_break = True
        if kind.stage == LONG_MODE:
            self.walkers.call("be_x86")
        self.tables = self.machine.library.variable("hv.sim.fixtures.tables")
        self.tables.left = PLENTY
        self.space = self.machine.library.variable(f"hv.sim.spaces.{kind.variable}")
        self.machine.call(f"hv.sim.spaces.init_{kind.variable}", kind.start, kind.start + REGION * PAGE)
        self.number = self.walkers.call("watch", self.space.tables.root, kind.stage, 0, 3, 1, False)
        self.walkers.call("walk_on", self.number, (1 << cpus) - 1)
        self.first = self.page(kind.start)

    def call(self, name: str, *arguments: object) -> Any:
        """An errno and a value."""
        method = f"address_space.AddressSpace[{self.kind.shown}].{name}"
        return self.machine.errno_or(self.machine.mm, method, self.space, *arguments)

    def map(self, start: int, length: int, kind: int = DATA) -> tuple[int, int]:
        return self.call("map", start, length, kind)

    def mapped(self, start: int, length: int) -> int:
        error, address = self.map(start, length)
        assert error == 0
        return address

    def unmap(self, address: int) -> None:
        assert self.call("unmap", address)[0] == 0

    @staticmethod
    def page(address: int) -> int:
        return (address & SIGN_FREE) // PAGE

    def translate(self, page: int, cpu: int = 0) -> Any:
        return self.walkers.call("translate", cpu, self.number, page)

    def access(self, page: int, wanted: int, cpu: int = 0) -> Any:
        return self.walkers.call("access", cpu, self.number, page, wanted)

    def troubles(self) -> list[str]:
        """What is wrong whatever is mapped."""
        found = []
        if self.walkers.violation():
            found.append(self.walkers.violation())
        if self.walkers.owed(self.number):
            found.append("something is owed")
        if self.space.tables.pending.tokens:
            found.append("a duty is not consumed")
        return found
