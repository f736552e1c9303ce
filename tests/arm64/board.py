"""The simulated machine as arm64's guest side sees it: system registers of each CPU, and the part of the hardware that
a guest uses without the hypervisor (virtual CPU interface, virtual timer).

The library keeps one set of system registers, since all CPUs are one thread's: entering a CPU exchanges them.
"""

from __future__ import annotations

import ctypes
from typing import Any

from tests.arm64.gich import Gich
from tests.common.guests import Machine

ARM = "hv.arm64."
FREQUENCY = 62_500_000
TICK = 16  # ns
GICD = 0x0300_1000
GICC = 0x0300_2000
GICR = 0x0302_0000
FRAMES = 0x2_0000
UART = 0x2200_0000
VIRTUAL_TIMER = 27
PHYSICAL_TIMER = 30
PRIORITY_BITS = 5

ENABLE, EOI_NOTICE, NONE_PENDING = 1 << 0, 1 << 2, 1 << 3
TRAP_DIR = 1 << 14


class Board(Machine):
    """`gicv2`: with one, instead of a GICv3. `interface` is how the guest that is loaded uses it."""

    interface: Interface | MemoryInterface

    def __init__(self, cpus: int = 2, lists: int = 4, gicv2: bool = False) -> None:
        self.registers: dict[int, dict[str, int]] = {}
        self.here = 0
        super().__init__(cpus)
        self.lists = lists
        names = self.host.library.symbols["registers"]
        self.numbers: dict[str, int] = names
        self.words = (ctypes.c_uint64 * len(names)).in_dll(ctypes.CDLL(str(self.host.library.path)), "cx_registers")
        for cpu in range(cpus):
            self.registers[cpu] = dict.fromkeys(names, 0)
        for i in range(len(names)):
            self.words[i] = 0
        self.clock = 0
        self.with_heap().start_scheduling()
        self.call("hv.sim.controller.use_arm64_guests", FREQUENCY, gicv2)
        if gicv2:
            self.gich = Gich(self.host, cpus, lists)
            self.interface = MemoryInterface(self)
        else:
            self.interface = Interface(self)
        name = "gich.GichInterface" if gicv2 else "ich.IchInterface"
        version = self.host.variable(f"{ARM}gich.gich" if gicv2 else f"{ARM}ich.ich")
        for cpu in reversed(range(cpus)):
            self.enter(cpu)
            self["ich_vtr_el2"] = (lists - 1) | (PRIORITY_BITS - 1) << 26
            self.call(f"{ARM}{name}.start_cpu", version)
        self.callback = self.ffi.callback(self.ffi.typeof(self.machine.spin_handler), self._spin)
        self.machine.spin_handler = self.callback

    def _spin(self, waiting: int) -> None:
        """A CPU waits for others: they take their interrupts meanwhile."""
        for cpu in range(self.cpus):
            if cpu != waiting:
                self.enter(cpu)
                self.call("hv.sim.machine.poll")
        self.enter(waiting)

    # System registers

    def __getitem__(self, name: str) -> int:
        return self.words[self.numbers[name]]

    def __setitem__(self, name: str, value: int) -> None:
        self.words[self.numbers[name]] = value

    def enter(self, cpu: int) -> None:
        super().enter(cpu)
        if hasattr(self, "gich"):
            self.gich.enter(cpu)
        if self.registers and cpu != self.here:
            kept = self.registers[self.here]
            for name, i in self.numbers.items():
                kept[name] = self.words[i]
                self.words[i] = self.registers[cpu][name]
            self.here = cpu
            self.update_time()

    def advance(self, ns: int) -> None:
        super().advance(ns)
        self.clock += ns
        self.update_time()

    @property
    def ticks(self) -> int:
        return self.clock // TICK

    def update_time(self) -> None:
        """The counter, and whether the virtual timer's condition holds."""
        self["cntpct_el0"] = self.ticks
        control = self["cntv_ctl_el0"] & 3
        due = (self.ticks - self["cntvoff_el2"]) % (1 << 64) >= self["cntv_cval_el0"]
        self["cntv_ctl_el0"] = control | (4 if control & 1 and due else 0)

    def timer_rings(self) -> bool:
        """The virtual timer's physical interrupt comes, when its condition holds and it is not active."""
        self.update_time()
        physical = self.host.per_cpu(self.here, "hv.sim.controller.PhysicalTimer")
        if self["cntv_ctl_el0"] & 7 != 5 or physical.active:
            return False
        physical.active = True
        self.call(f"{ARM}vtimer.fired", VIRTUAL_TIMER)
        return True

    @property
    def timer_active(self) -> bool:
        return bool(self.host.per_cpu(self.here, "hv.sim.controller.PhysicalTimer").active)

    # Devices' interrupts

    def spi(self, intid: int) -> Any:
        """What the physical distributor holds of a shared interrupt."""
        return self.host.variable("hv.sim.controller.simulated_controller").shared[intid]

    def device_line(self, intid: int, level: bool) -> None:
        """A device asserts its interrupt, or no more. An edge is latched."""
        spi = self.spi(intid)
        spi.pending = spi.pending or bool(spi.edge and level and not spi.line)
        spi.line = level

    def spi_can_come(self, intid: int) -> bool:
        spi = self.spi(intid)
        return bool(spi.enabled and not spi.active and (spi.pending if spi.edge else spi.line))

    def spi_comes(self, intid: int) -> bool:
        """The physical interrupt is taken where it is routed to, if it can be."""
        if not self.spi_can_come(intid):
            return False
        spi = self.spi(intid)
        spi.active, spi.pending = True, False
        self.enter(spi.cpu)
        self.call(f"{ARM}spis.raised", intid)
        return True

    def deactivated(self, intid: int) -> None:
        """The guest's end of an interrupt has deactivated the physical one that its list register is linked to."""
        if intid >= 32:
            self.spi(intid).active = False
            return
        assert intid == VIRTUAL_TIMER
        self.host.per_cpu(self.here, "hv.sim.controller.PhysicalTimer").active = False

    # Domains

    def make_guest(self, vcpus: int, uart: bool = False, spis: int = 0) -> list[Any]:
        """The vCPUs of a new domain."""
        self.enter(0)
        domain = self.call("hv.sim.vcpus.make_domain_with_spis", 1, vcpus, spis)
        self.guest = domain
        domain.config.uart = uart
        every = (1 << self.cpus) - 1
        return [self.call("hv.sim.vcpus.make_vcpu", domain, every) for _ in range(vcpus)]

    def extension(self, owner: Any, name: str) -> Any:
        return self.ffi.addressof(owner, f"arm64_{name}")

    def context(self, vcpu: Any) -> Any:
        return self.ffi.addressof(self.extension(vcpu, "vcpu_ArchVcpu"), "context")

    def load(self, vcpu: Any) -> None:
        """Interrupts and timers, as Arm64Vcpus.load does it: the rest needs assembly."""
        assert not self.loaded()
        self.call(f"{ARM}virq.load", vcpu)
        self.call(f"{ARM}loaded.set_loaded", vcpu)

    def save(self, vcpu: Any) -> None:
        assert self.loaded() == vcpu
        self.update_time()
        self.call(f"{ARM}virq.save", vcpu)
        self.call(f"{ARM}loaded.set_loaded", self.ffi.NULL)

    def loaded(self) -> Any:
        return self.host.per_cpu(self.here, f"{ARM}loaded.Loaded").vcpu

    def way_in(self) -> None:
        """As the guest that is loaded here is entered: what is dirty is refreshed."""
        vcpu = self.loaded()
        if vcpu and self.extension(vcpu, "vgic_state_VgicCpu").dirty:
            self.call(f"{ARM}virq.refresh", vcpu)

    def device(self, vcpu: Any, address: int, size: int = 4, value: int | None = None) -> int:
        """A read, or with a value a write, of an emulated register."""
        kind = self.call(f"{ARM}mmio.device_at", vcpu, address)
        assert kind != 0, hex(address)
        if value is None:
            return self.call(f"{ARM}mmio.read", vcpu, kind, address, size)
        self.call(f"{ARM}mmio.write", vcpu, kind, address, size, value)
        return 0


class Interface:
    """The virtual CPU interface of the CPU that the board is on, as the guest uses it (Arm IHI 0069, 4.8)."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def set_up(self, split: bool) -> None:
        """All priorities and both groups; `split`: EOImode."""
        self.board["ich_vmcr_el2"] = 0xF8 << 24 | 3 | (1 << 9 if split else 0)

    def lists(self) -> list[tuple[str, int]]:
        return [(f"ich_lr{n}_el2", self.board[f"ich_lr{n}_el2"]) for n in range(self.board.lists)]

    def pending(self, running: int) -> tuple[int, int] | None:
        """The interrupt that is signalled above a running priority: priority and number."""
        if not self.board["ich_hcr_el2"] & ENABLE:
            return None
        found = [(lr >> 48 & 0xFF, lr & 0xFFFF_FFFF) for _, lr in self.lists() if lr >> 62 == 1]
        best = min(found, default=None)
        return best if best is not None and best[0] < running else None

    def acknowledge(self, running: int) -> tuple[int, int] | None:
        best = self.pending(running)
        if best is not None:
            name = next(n for n, lr in self.lists() if lr >> 62 == 1 and (lr >> 48 & 0xFF, lr & 0xFFFF_FFFF) == best)
            self.board[name] = self.board[name] & ~(3 << 62) | 2 << 62
        return best

    def end(self, intid: int) -> None:
        """EOIR with EOImode 0, after the priority has dropped."""
        for name, lr in self.lists():
            if lr >> 62 >= 2 and lr & 0xFFFF_FFFF == intid:
                self._deactivate(name, lr)
                return
        self.board["ich_hcr_el2"] += 1 << 27

    def deactivate(self, vcpu: Any, intid: int) -> None:
        """DIR with EOImode 1."""
        if self.board["ich_hcr_el2"] & TRAP_DIR:
            self.board.call(f"{ARM}virq.end_by_register", vcpu, intid)
            return
        for name, lr in self.lists():
            if lr >> 62 >= 2 and lr & 0xFFFF_FFFF == intid:
                self._deactivate(name, lr)

    def _deactivate(self, name: str, lr: int) -> None:
        self.board[name] = lr & ~(1 << 63)
        if lr >> 61 & 1:
            self.board.deactivated(lr >> 32 & 0x1FFF)

    def wants_maintenance(self) -> bool:
        control = self.board["ich_hcr_el2"]
        if not control & ENABLE:
            return False
        lists = [lr for _, lr in self.lists()]
        ended = any(lr >> 62 == 0 and lr >> 41 & 1 and not lr >> 61 & 1 for lr in lists)
        unlisted = bool(control & EOI_NOTICE) and control >> 27 != 0
        starved = bool(control & NONE_PENDING) and not any(lr >> 62 & 1 for lr in lists)
        return ended or unlisted or starved

    def check(self) -> None:
        """What the architecture forbids in list registers (12.4.9)."""
        seen = set()
        for _, lr in self.lists():
            if lr >> 62:
                assert lr & 0xFFFF_FFFF not in seen, "one interrupt in two list registers"
                seen.add(lr & 0xFFFF_FFFF)
                if lr >> 61 & 1:
                    assert lr >> 62 != 3, "linked to a physical interrupt, and both pending and active"


class MemoryInterface:
    """The same for a GICv2 (Arm IHI 0048B, 5.2 to 5.5): an SGI is ended with its sender's number."""

    sender: int  # of the SGI that was acknowledged last

    def __init__(self, board: Board) -> None:
        self.board = board

    @property
    def gich(self) -> Gich:
        return self.board.gich

    def set_up(self, split: bool) -> None:
        self.gich.here.vmcr = 0x1F << 27 | 3 | (1 << 9 if split else 0)

    def pending(self, running: int) -> tuple[int, int] | None:
        if not self.gich.here.hcr & ENABLE:
            return None
        found = [(entry.priority, entry.acknowledged) for entry in self.gich.lists() if entry.state == 1]
        best = min(found, default=None)
        return best if best is not None and best[0] < running else None

    def acknowledge(self, running: int) -> tuple[int, int] | None:
        best = self.pending(running)
        if best is None:
            return None
        entry = next(e for e in self.gich.lists() if e.state == 1 and (e.priority, e.acknowledged) == best)
        self.gich.set_state(entry, 2)
        self.sender = entry.acknowledged >> 10
        return entry.priority, entry.intid

    def end(self, raw: int) -> None:
        """GICV_EOIR with EOImode 0, after the priority has dropped."""
        if not self._deactivate(raw):
            self.gich.here.hcr += 1 << 27

    def deactivate(self, vcpu: Any, raw: int) -> None:
        """GICC_DIR with EOImode 1."""
        self.board.device(vcpu, GICC + 0x1000, 4, raw)

    def _deactivate(self, raw: int) -> bool:
        for entry in self.gich.lists():
            if entry.state >= 2 and entry.acknowledged == raw:
                self.gich.set_state(entry, entry.state & 1)
                if entry.hardware:
                    self.board.deactivated(entry.physical)
                return True
        return False

    def wants_maintenance(self) -> bool:
        control = self.gich.here.hcr
        if not control & ENABLE:
            return False
        lists = self.gich.lists()
        ended = any(entry.state == 0 and entry.notifies for entry in lists)
        unlisted = bool(control & EOI_NOTICE) and control >> 27 != 0
        starved = bool(control & NONE_PENDING) and not any(entry.state & 1 for entry in lists)
        return ended or unlisted or starved

    def check(self) -> None:
        """What the architecture forbids in list registers (5.3.8)."""
        self.gich.check()
        valid = [entry for entry in self.gich.lists() if entry.state]
        assert len({entry.intid for entry in valid}) == len(valid), "one interrupt in two list registers"
        for entry in valid:
            assert not (entry.hardware and entry.state == 3), "linked to a physical interrupt, and both"
            assert entry.intid >= 16 or entry.state != 3, "an SGI of one sender that is pending and active"
