"""A domain's physical map in the compiled library."""

from __future__ import annotations

from tests.common.mm.simulated import Machine
from tests.common.walkers import GUEST

DOMAIN, VMID = 3, 11
NOTHING, RAM, READ_ONLY, DEVICE = range(4)
R, W, X = 1, 2, 4


class PhysMap:
    def __init__(self, frames: int = 8192, tables: int = 1000) -> None:
        self.machine = Machine().with_heap(frames)
        self.frames = frames
        self.p2m = self.machine.library.variable("hv.sim.fixtures.p2m")
        self.machine.call("hv.sim.fixtures.init_p2m", DOMAIN, VMID, tables)
        self.space = self.machine.walkers.call("watch", self.p2m.map.root, GUEST, VMID, 2, 2, False)

    def call(self, name: str, *arguments: object) -> tuple[int, object]:
        return self.machine.errno_or(self.machine.mm, f"p2m.P2m.{name}", self.p2m, *arguments)

    def flush(self, token: object) -> None:
        self.machine.mm("p2m.GuestFlush.flush", self.machine.ffi.new("common_mm_p2m_GuestFlush *", token))

    def done(self, token: object) -> int:
        return self.machine.mm("p2m.GuestFlush.done", self.machine.ffi.new("common_mm_p2m_GuestFlush *", token))

    def change(self, name: str, *arguments: object) -> tuple[int, int]:
        """A change with its flush. Returns an errno and the frames done."""
        error, token = self.call(name, *arguments)
        if error:
            return error, 0
        done = self.done(token)
        self.flush(token)
        return 0, done

    def lookup(self, gfn: int) -> tuple[int, int, int]:
        """Kind, frame and access."""
        found = self.call("lookup", gfn)[1]
        return found.kind, found.mfn, found.access

    def seen(self, gfn: int) -> tuple[int, int] | None:
        """Frame and access, as the guest's walker has them."""
        t = self.machine.walkers.call("translate", 0, self.space, gfn)
        return (t.mfn, R * t.readable | W * t.writable | X * t.executable) if t.present else None

    def sound(self) -> None:
        walkers = self.machine.walkers
        assert not walkers.violation()
        assert walkers.owed(self.space) == 0

    def tear_down(self) -> int:
        """Returns the steps that it took."""
        steps = 1
        while not self.call("teardown_step")[1]:
            steps += 1
        return steps
